"""What an application hands to a model, as its program takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .errors import EdgeRuntimeError

# What fewer bits stand for, by the kind of the files that a network was made for.
_RAW = {("images", "uint8"): 255.0, ("arrays", "uint8"): 255.0, ("recordings", "int16"): 32768.0}


def bind(ports: Sequence[Mapping[str, Any]], given: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """One value a port, in their order, of those given in it and by name. Raises EdgeRuntimeError."""
    names = [port["name"] for port in ports]
    values = dict(zip(names, given))
    wrong = [name for name in named if name in values or name not in names]
    if len(given) > len(names) or wrong or len(values) + len(named) < len(names):
        raise EdgeRuntimeError(
            f"was given {len(given)} inputs in order and {', '.join(named) or 'none'} by name",
            where="model(...)",
            next="Give each of these once: " + "; ".join(map(said, ports)) + ".",
        )
    values.update(named)
    return [values[name] for name in names]


def rows_of(port: Mapping[str, Any], value: Any, made: Mapping[str, Any] | None) -> tuple[np.ndarray, bool]:
    """(N, ...) in the port's type, and whether one example without that axis was given.

    Bytes of images are 0 to 1, int16 of recordings -1 to 1; both, and arrays where the task's files held arrays, are
    normalised as the task's were (`made`, a manifest's `preprocessing`). Other values are what the network takes.
    Raises EdgeRuntimeError.
    """
    array, shape, right = np.asarray(value), tuple(port["shape"]), np.dtype(port["dtype"])
    alone = array.shape == shape
    if alone:
        array = array[None]
    if array.shape[1:] != shape or len(array) == 0 or not _may_be(array.dtype, right):
        raise EdgeRuntimeError(
            f"was given {array.dtype} {np.shape(value)}", where=port["name"], next=f"Give {said(port)}, one or several."
        )
    kind = made["kind"] if made else "arrays"
    whole = _RAW.get((kind, str(array.dtype)))
    array = np.ascontiguousarray(array, right)
    if right.kind == "f" and made and (whole or kind == "arrays"):
        array = _normalised(array / right.type(whole or 1), made)
    elif right.kind == "f" and whole:
        array = array / right.type(whole)
    return array, alone


def said(port: Mapping[str, Any]) -> str:
    """A port in words."""
    return "{}: {} ({})".format(port["name"], port["dtype"], ", ".join(map(str, port["shape"])))


def _may_be(given: np.dtype, right: np.dtype) -> bool:
    return given.kind in ("fiu" if right.kind == "f" else "b" if right.kind == "b" else "iu")


def _normalised(array: np.ndarray, made: Mapping[str, Any]) -> np.ndarray:
    by_channel = [-1] + [1] * (array.ndim - 2)
    for name, change in (("mean", np.subtract), ("std", np.divide)):
        if made.get(name) is not None:
            array = change(array, np.asarray(made[name], array.dtype).reshape(by_channel))
    return array
