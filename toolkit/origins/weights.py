"""Weights for a factory's model: safetensors, or a state dict that `torch.save` wrote. Nothing is unpickled."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn.parameter import is_lazy

from toolkit.errors import BadInput, first_line
from toolkit.few import few
from toolkit.model_name import WEIGHTS

# Where checkpoints of training keep the state dict, and what wrappers put before every name.
_KEYS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")


def put_weights(model: nn.Module, file: Path) -> None:
    """Load them into the model: each tensor has to be there, and to fit; of those that share memory one is enough.

    Raises BadInput for a file that cannot be read or holds more than tensors, and lists the names that do not fit.
    """
    state = _bare(read_weights(file), model)
    own = {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    given = {_memory(own[name]) for name in state if name in own}
    missing = [
        name
        for name, value in own.items()
        if name not in state and _memory(value) not in given and not name.endswith("num_batches_tracked")
    ]
    unexpected = [name for name in state if name not in own]
    others = [
        f"{name} {_shape(state[name])}, in the model {_shape(value)}"
        for name, value in own.items()
        if name in state and not is_lazy(value) and value.shape != state[name].shape
    ]
    told = {"missing": missing, "unexpected": unexpected, "of another shape": others}
    if any(told.values()):
        raise BadInput(
            "does not fit the model: "
            + "; ".join(f"{len(names)} {what} ({few(names)})" for what, names in told.items() if names),
            where=str(file),
            next="Name the factory that they were trained in, with its arguments: package.module:factory?width=32.",
        )
    model.load_state_dict(state, strict=False)


def read_weights(file: Path) -> dict[str, torch.Tensor]:
    """The state dict of a file, on the CPU. Raises BadInput if it cannot be read, or holds none."""
    if file.suffix not in WEIGHTS:
        raise BadInput("is no file of weights", where=str(file), next=f"Give one of {', '.join(WEIGHTS)}.")
    try:
        content = load_file(file) if file.suffix == WEIGHTS[0] else torch.load(file, "cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise BadInput(
            "holds more than tensors, and nothing is unpickled",
            where=str(file),
            next="Save the weights alone: torch.save(model.state_dict(), FILE).",
        ) from None
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise BadInput(f"cannot be read: {first_line(error)}", where=str(file), next="Save it again.") from None
    found = next((content[key] for key in _KEYS if _is_state(_entry(content, key))), content)
    if not _is_state(found):
        held = few(list(map(str, content))) if isinstance(content, Mapping) else type(content).__name__
        raise BadInput(
            f"holds no state dict ({held})",
            where=str(file),
            next=f"Save model.state_dict(), by itself or as {' or '.join(_KEYS)}.",
        )
    return dict(found)


def _entry(content: object, key: str) -> object:
    return content.get(key) if isinstance(content, Mapping) else None


def _is_state(content: object) -> bool:
    is_named = isinstance(content, Mapping) and len(content) > 0 and all(isinstance(name, str) for name in content)
    return is_named and all(isinstance(value, torch.Tensor) for value in content.values())  # type: ignore[attr-defined]


def _bare(state: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """Without what `DataParallel` and `torch.compile` put before all names, unless the model has names like that."""
    for prefix in _PREFIXES * 2:  # either may be inside the other
        is_own = any(name.startswith(prefix) for name in model.state_dict())
        if not is_own and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _memory(tensor: torch.Tensor) -> object:
    return id(tensor) if is_lazy(tensor) or not tensor.numel() else tensor.data_ptr()


def _shape(tensor: torch.Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"
