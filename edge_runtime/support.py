"""Examples to learn from, as the programs of a release take them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .classes import names_of
from .errors import EdgeRuntimeError
from .inputs import Entry, entry_of, rows_of

_WHERE = "model.learn(...)"
_NPZ = "Give an .npz of arrays: x (or one by each input's name), and y, names of classes or values."


def read_npz(path: str) -> tuple[Any, Any]:
    """`inputs` and `targets` as `support_of` takes them: array `y`, and `x` or one by each input's name.

    Raises EdgeRuntimeError for what is no such file.
    """
    try:
        with np.load(os.path.expanduser(path), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise EdgeRuntimeError("there is no such file on this board", where=path, next=_NPZ) from None
    except Exception as error:  # a damaged file may hold anything
        raise EdgeRuntimeError(f"is no .npz that can be read: {error}", where=path, next=_NPZ) from None
    if "y" not in arrays or len(arrays) == 1:
        raise EdgeRuntimeError(f"has {', '.join(arrays) or 'nothing'}, which is not x and y", where=path, next=_NPZ)
    targets = arrays.pop("y")
    return (arrays["x"] if set(arrays) == {"x"} else arrays), targets


def support_of(
    manifest: Mapping[str, Any], entries: Sequence[Entry], inputs: Any, targets: Any, rows: Sequence[str | None]
) -> dict[str, np.ndarray]:
    """`inputs.*`, `targets.*` and `strata`, of which as many are held out in turn; `rows` of the head are of classes.

    Raises EdgeRuntimeError.
    """
    learn = manifest["learn"]
    if learn is None:
        raise EdgeRuntimeError(
            "the release does not learn: {}".format(manifest["hindrance"] or "it was made without"),
            where=_WHERE,
            next="Deploy a model of which something can be trained.",
        )
    given = inputs if isinstance(inputs, Mapping) else {entries[0].name: inputs}
    if set(given) != {entry.name for entry in entries}:
        wanted = "; ".join(entry.said() for entry in entries)
        raise EdgeRuntimeError(f"was given {', '.join(given)}", where=_WHERE, next=f"Give a dict of arrays: {wanted}.")
    found = {entry.name: rows_of(entry, given[entry.name])[0] for entry in entries}
    target, classes = learn["target"], names_of(rows) if classifies(manifest) else []
    y = _labels(targets, classes, rows) if classes else _values(targets, target)
    if any(len(rows) != len(y) for rows in found.values()):
        counts = ", ".join(str(len(rows)) for rows in found.values())
        raise EdgeRuntimeError(
            f"was given {counts} inputs and {len(y)} targets", where=_WHERE, next="Give one target an example."
        )
    if learn["starts"] and len(y) > learn["most"]:
        raise EdgeRuntimeError(
            "was given {} examples; the release takes {} at most".format(len(y), learn["most"]),
            where=_WHERE,
            next="Give fewer.",
        )
    arrays = {"inputs." + name: rows for name, rows in found.items()}
    return {**arrays, "targets." + target["name"]: y, "strata": y if classes else np.zeros(len(y), np.int64)}


def classifies(manifest: Mapping[str, Any]) -> bool:
    """Releases of before do not say what they are judged by: those with labels classified."""
    target = manifest["learn"]["target"]
    labels = not target["shape"] and target["dtype"] == "int64"
    return labels and manifest.get("measure") in (None, "accuracy")


def _labels(targets: Any, classes: list[str], rows: Sequence[str | None]) -> np.ndarray:
    """Names, or numbers that are names throughout, or places of names in `classes`, as rows."""
    known: dict[Any, int] = {name: place for place, name in enumerate(classes)}
    given = _array(targets).reshape(-1).tolist()
    numbered = all(type(label) is int and str(label) in known for label in given)
    places = [known[str(label)] if numbered else known.get(label, label) for label in given]
    if not numbered and len(classes) < len(rows) and any(name.isdigit() for name in classes):
        places = [known.get(label, str(label)) for label in given]  # it may be the name of a class that went
    wrong = [label for label in places if not (isinstance(label, int) and 0 <= label < len(classes))]
    absent = sorted(set(range(len(classes))) - set(places)) if not wrong else []
    if wrong or absent:
        raise EdgeRuntimeError(
            f"{wrong[0]!r} is none of its classes" if wrong else f"has no example of {classes[absent[0]]}",
            where=_WHERE,
            next="Give examples of every class, by name: {}; classes=[...] says which there are to be.".format(
                ", ".join(classes)
            ),
        )
    return np.array([rows.index(classes[place]) for place in places], np.int64)


def _array(targets: Any) -> np.ndarray:
    try:
        array = np.asarray(targets)
    except ValueError:  # nested lists of different lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "biufU":
        raise EdgeRuntimeError("targets are no array", where=_WHERE, next="Give one name, number or array an example.")
    return array


def _values(targets: Any, target: Mapping[str, Any]) -> np.ndarray:
    values, right = _array(targets), np.dtype(target["dtype"])
    if list(target["shape"]) == [1] and values.ndim == 1:
        values = values[:, None]
    kinds = "biuf" if right.kind == "f" else "biu"
    if values.ndim == 0 or list(values.shape[1:]) != list(target["shape"]) or values.dtype.kind not in kinds:
        raise EdgeRuntimeError(
            f"targets are {values.dtype} {values.shape}",
            where=_WHERE,
            next=f"Give {entry_of(target, None).said()}, one an example.",
        )
    if not np.isfinite(values).all():
        raise EdgeRuntimeError("targets hold what is no number", where=_WHERE, next="Leave these examples out.")
    return values.astype(right)
