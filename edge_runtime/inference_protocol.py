"""The Open Inference Protocol, version 2, for what a board serves; github.com/kserve/open-inference-protocol.

Beside its `infer` there are `learn` (inputs as of infer, and targets), `undo`, `generations`, `go_to` (a number),
`profiles`, and `switch` and `remove_profile` (a name). A text is a string in JSON, of datatype `BYTES`, one an example.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import EdgeRuntimeError
from .methods import AUTO
from .model import Model

NAME = "model"
_EXTENSIONS = ["learn", "undo", "generations", "go_to", "profiles", "switch", "remove_profile"]
_TYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP32": "float32",
    "FP64": "float64",
}
_TEXTS = "BYTES"
_NAMES = {dtype: name for name, dtype in _TYPES.items()}


class WrongRequest(Exception):
    """What cannot be answered; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answer(model: Model, method: str, path: str, text: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to one request."""
    said: dict[str, Any]
    try:
        status, said = 200, _verb(model, method, path.split("?")[0].rstrip("/"), _body(text))()
    except WrongRequest as error:
        status, said = error.status, {"error": str(error)}
    except EdgeRuntimeError as error:
        status, said = 400, {"error": str(error)}
    except Exception as error:  # whatever it is, it is answered
        status, said = 500, {"error": f"{type(error).__name__}: {error}"}
    try:
        return status, json.dumps(said, allow_nan=False).encode()
    except ValueError:
        return 500, b'{"error": "what came out is no number, which JSON does not know"}'


def _body(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise WrongRequest(400, f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise WrongRequest(400, "a body is one JSON object")
    return body


def _verb(model: Model, method: str, path: str, body: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    verbs: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {
        ("GET", "/v2"): lambda: {"name": "edge-serve", "version": "0.1.0", "extensions": _EXTENSIONS},
        ("GET", "/v2/health/live"): lambda: {"live": True},
        ("GET", "/v2/health/ready"): lambda: {"ready": True},
        ("GET", f"/v2/models/{NAME}"): lambda: _metadata(model),
        ("GET", f"/v2/models/{NAME}/ready"): lambda: {"name": NAME, "ready": True},
        ("POST", f"/v2/models/{NAME}/infer"): lambda: _infer(model, body),
        ("POST", f"/v2/models/{NAME}/learn"): lambda: _learn(model, body),
        ("POST", f"/v2/models/{NAME}/undo"): lambda: {"adapted": model.undo()},
        ("GET", f"/v2/models/{NAME}/generations"): lambda: {
            "generations": [vars(each) for each in model.generations()]
        },
        ("POST", f"/v2/models/{NAME}/go_to"): lambda: _go_to(model, body),
        ("GET", f"/v2/models/{NAME}/profiles"): lambda: {"profiles": model.profiles(), "active": model.profile},
        ("POST", f"/v2/models/{NAME}/switch"): lambda: _switch(model, body),
        ("POST", f"/v2/models/{NAME}/remove_profile"): lambda: _remove_profile(model, body),
    }
    if (method, path) not in verbs:
        there = ", ".join(f"{verb} {place}" for verb, place in verbs)
        raise WrongRequest(404, f"there is no {method} {path}; there is {there}")
    return verbs[method, path]


def _metadata(model: Model) -> dict[str, Any]:
    told = model.info()
    more = {key: told[key] for key in ("classes", "adapted", "learns", "preprocessing")}
    return {
        "name": NAME,
        "versions": [told["release"]],
        "platform": "onnxruntime_onnx",
        "inputs": [_described(port) for port in told["inputs"]],
        "outputs": [_described(port) for port in told["outputs"]],
        "parameters": more,
    }


def _described(port: dict[str, Any]) -> dict[str, Any]:
    return {"name": port["name"], "datatype": _NAMES[port["dtype"]], "shape": [-1, *port["shape"]]}


def _infer(model: Model, body: dict[str, Any]) -> dict[str, Any]:
    given, state = _tensors(body), model.now()
    told = state.info()
    ranks = {port["name"]: 1 + len(port["shape"]) for port in told["inputs"]}
    arrays = {name: values for name, values in given.items() if values.dtype != object}
    if wrong := [name for name, values in arrays.items() if values.ndim != ranks.get(name, values.ndim)]:
        raise WrongRequest(400, f"{wrong[0]}: shape begins with the number of examples")
    output = state(**given)
    made = {
        "name": told["outputs"][0]["name"],
        "datatype": _NAMES[str(output.dtype)],
        "shape": list(output.shape),
        "data": output.reshape(-1).tolist(),
    }
    asked = {"id": body["id"]} if "id" in body else {}
    return {"model_name": NAME, "model_version": told["release"], **asked, "outputs": [made]}


def _learn(model: Model, body: dict[str, Any]) -> dict[str, Any]:
    if "targets" not in body:
        raise WrongRequest(400, "learn takes inputs, as infer does, and targets, one an example")
    steps = body.get("steps")
    if steps is not None and (type(steps) is not int or steps < 1):
        raise WrongRequest(400, "steps is a whole number from 1 on")
    learned = model.learn(
        _tensors(body),
        body["targets"],
        classes=body.get("classes"),
        method=body.get("method", AUTO),
        steps=steps,
        seconds=body.get("seconds"),
        max_forgetting=body.get("max_forgetting"),
    )
    return vars(learned)


def _go_to(model: Model, body: dict[str, Any]) -> dict[str, Any]:
    model.go_to(body.get("number"))  # type: ignore[arg-type]  # it says what is none
    return {"adapted": body["number"] > 0}


def _switch(model: Model, body: dict[str, Any]) -> dict[str, Any]:
    model.switch(body.get("name"))  # type: ignore[arg-type]  # it says what is none
    return {"profiles": model.profiles(), "active": model.profile}


def _remove_profile(model: Model, body: dict[str, Any]) -> dict[str, Any]:
    model.remove_profile(body.get("name"))  # type: ignore[arg-type]  # it says what is none
    return {"profiles": model.profiles(), "active": model.profile}


def _tensors(body: dict[str, Any]) -> dict[str, np.ndarray]:
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise WrongRequest(400, "inputs is a list of tensors, each with name, shape, datatype and data")
    tensors = {}
    for each in inputs:
        try:
            if each["datatype"] == _TEXTS:
                tensors[str(each["name"])] = _texts(each["data"], each["shape"])
                continue
            dtype = np.dtype(_TYPES[each["datatype"]])
            tensors[str(each["name"])] = _values(each["data"], dtype).reshape([int(size) for size in each["shape"]])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise WrongRequest(
                400,
                f"an input is no tensor ({type(error).__name__}: {error}): give name, shape, data, and a datatype of "
                + ", ".join([*_TYPES, _TEXTS]),
            ) from None
    return tensors


def _values(data: Any, dtype: np.dtype) -> np.ndarray:
    """JSON knows one kind of whole numbers. Raises ValueError."""
    values = np.array(data)
    unsigned = values.dtype.kind == "i" and dtype.kind == "u"
    if not (unsigned or np.can_cast(values.dtype, dtype, "same_kind")) or not np.isfinite(values).all():
        raise ValueError(f"data are {values.dtype}")
    made = values.astype(dtype)
    if dtype.kind in "iu" and (made != values).any():
        raise ValueError(f"data are not all {dtype}")
    return made


def _texts(data: Any, shape: Any) -> np.ndarray:
    """Objects (N); of shape (N, 1), as many clients have it, too. Raises ValueError.

    In an array none is the path of a file, which only the board's own applications may name.
    """
    texts = np.array(data, object).reshape([int(size) for size in shape])
    if texts.size != len(texts) or not all(isinstance(text, str) for text in texts.flat):
        raise ValueError("data are not one string an example")
    return texts.reshape(-1)
