"""A task from a `.npz` with `x` and `y`, and with `general_x` and `general_y` if the domain is to be kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from toolkit.errors import BadInput
from toolkit.reading import Reading, require_of_use
from toolkit.tasks.archive import SAVE_IT, array_names, read_arrays
from toolkit.tasks.split import draw_support, draw_to_judge_on
from toolkit.tasks.task import Task
from toolkit.tasks.values import BYTES_ARE_SHARES, scaled_examples_of

_WANTED, _GENERAL = ("x", "y"), ("general_x", "general_y")


def task_from_npz(path: Path, shots: int, seed: int, reading: Reading, on_note: Callable[[str], None]) -> Task:
    """Support, query and general examples. Raises BadInput that says what is wrong with the file."""
    require_of_use(reading, ("mean", "std"), str(path), "a file of arrays")
    there = array_names(path)
    if missing := [name for name in _WANTED if name not in there]:
        said = f"has no array {' and '.join(missing)} (it has {', '.join(there) or 'none'})"
        raise BadInput(said, where=str(path), next=SAVE_IT)
    arrays = read_arrays(path, (*_WANTED, *_GENERAL))
    x, y = arrays["x"], _labels_of(arrays["y"], path)
    if x.dtype.kind not in "fiu" or y.dtype.kind not in "biuU" or x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise BadInput(
            f"x is {x.dtype} {x.shape} and y is {y.dtype} {y.shape}; expected numbers (N, ...) and labels (N,)",
            where=str(path),
            next=_of_rows(y) if y.ndim == 2 else SAVE_IT,
        )
    if len(x) == 0:
        raise BadInput("is empty", where=str(path), next="Give at least two classes with a few examples each.")
    if x.dtype == np.uint8:
        on_note(f"{path} {BYTES_ARE_SHARES}")
    names, labels = np.unique(y, return_inverse=True)
    classes = tuple(map(str, names))
    support, query = draw_support(labels, shots=shots, seed=seed, where=str(path), classes=classes)
    parts = [scaled_examples_of(x, labels, rows, reading, str(path)) for rows in (support, query)]
    if any(name in arrays for name in _GENERAL):
        general_x, general_y = _general(arrays, path)
        judging = draw_to_judge_on(len(general_y), seed)
        learning = np.setdiff1d(np.arange(len(general_y)), judging)
        for rows in (learning, judging) if len(judging) else (learning,):
            parts.append(scaled_examples_of(general_x, general_y, rows, reading, str(path)))
    return Task(path.stem, classes, *parts)


def _labels_of(y: np.ndarray, path: Path) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind == "f" and y.ndim == 1:
        raise BadInput(
            f"y is {y.dtype}: labels are integers or names, and targets of a regression cannot be learned",
            where=str(path),
            next="If they are classes, save y.astype(int).",
        )
    return y


def _of_rows(y: np.ndarray) -> str:
    """What to do about labels of two dimensions: rows with one label each can be numbers."""
    is_one_hot = y.dtype.kind in "biuf" and bool(((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all())
    if is_one_hot:
        return "Of one-hot labels save y.argmax(1)."
    return "Several labels an example cannot be learned: save one label (N,)."


def _general(arrays: dict[str, np.ndarray], path: Path) -> tuple[np.ndarray, np.ndarray]:
    there = [name for name in _GENERAL if name in arrays]
    if len(there) == 1:
        raise BadInput(f"has {there[0]} alone", where=str(path), next="Save both general_x and general_y.")
    x, y = (arrays[name] for name in _GENERAL)
    if x.dtype.kind not in "fiu" or y.dtype.kind not in "iu":
        raise BadInput(
            f"general_x is {x.dtype} and general_y is {y.dtype}; expected numbers and integers",
            where=str(path),
            next="General labels index the model's own outputs.",
        )
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise BadInput(
            f"general_x is {x.shape} and general_y is {y.shape}; expected (N, ...) and (N,)",
            where=str(path),
            next=SAVE_IT.replace("x=..., y=...", "general_x=..., general_y=..."),
        )
    if (x.dtype == np.uint8) != (arrays["x"].dtype == np.uint8):
        raise BadInput(
            f"x is {arrays['x'].dtype} and general_x is {x.dtype}: bytes become 0 to 1, other numbers stay",
            where=str(path),
            next="Save both in one dtype.",
        )
    return x, y
