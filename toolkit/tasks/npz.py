"""A task from a `.npz` with `x` and `y`, and with `general_x` and `general_y` if the domain is to be kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from toolkit.errors import BadInput
from toolkit.objectives import Classification
from toolkit.preprocessing import Preprocessing
from toolkit.reading import Reading, require_of_use
from toolkit.tasks.archive import SAVE_IT, array_names, read_arrays
from toolkit.tasks.split import draw_support, draw_support_of_all, draw_to_judge_on
from toolkit.tasks.targets import Targets, read_targets
from toolkit.tasks.task import Examples, Task
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
    x, y = arrays["x"], arrays["y"]
    if x.dtype.kind not in "fiu" or x.ndim < 2 or y.ndim == 0 or len(x) != len(y):
        raise BadInput(
            f"x is {x.dtype} {x.shape} and y is {y.dtype} {y.shape}; expected numbers (N, ...) and as many targets",
            where=str(path),
            next=SAVE_IT,
        )
    if len(x) == 0:
        raise BadInput("is empty", where=str(path), next="Give a few examples, of at least two classes.")
    if x.dtype == np.uint8:
        on_note(f"{path} {BYTES_ARE_SHARES}")
    targets = read_targets(y, str(path))
    if isinstance(targets.objective, Classification):
        rows = draw_support(targets.y, shots=shots, seed=seed, where=str(path), classes=targets.classes)
    else:
        rows = draw_support_of_all(len(targets.y), shots=shots, seed=seed, where=str(path))
    support, query = (scaled_examples_of(x, targets.y, part, reading, str(path)) for part in rows)
    general: Examples | None = None
    general_query: Examples | None = None
    if any(name in arrays for name in _GENERAL):
        general_x, general_y = _general(arrays, path, targets)
        judging = draw_to_judge_on(len(general_y), seed)
        learning = np.setdiff1d(np.arange(len(general_y)), judging)
        general = scaled_examples_of(general_x, general_y, learning, reading, str(path))
        if len(judging):
            general_query = scaled_examples_of(general_x, general_y, judging, reading, str(path))
    made = Preprocessing("arrays", reading.mean, reading.std)
    return Task(path.stem, targets.classes, support, query, general, general_query, targets.objective, made)


def _general(arrays: dict[str, np.ndarray], path: Path, targets: Targets) -> tuple[np.ndarray, np.ndarray]:
    """General labels of a classification index the model's own outputs; other targets are of the task's kind."""
    there = [name for name in _GENERAL if name in arrays]
    if len(there) == 1:
        raise BadInput(f"has {there[0]} alone", where=str(path), next="Save both general_x and general_y.")
    x, y = (arrays[name] for name in _GENERAL)
    classifies = isinstance(targets.objective, Classification)
    if not classifies and y.ndim > 0:
        y = read_targets(y, str(path)).y
    if x.dtype.kind not in "fiu" or (classifies and y.dtype.kind not in "iu"):
        raise BadInput(
            f"general_x is {x.dtype} and general_y is {y.dtype}; expected numbers and integers",
            where=str(path),
            next="General labels index the model's own outputs.",
        )
    if x.ndim < 2 or y.ndim != targets.y.ndim or len(x) != len(y):
        raise BadInput(
            f"general_x is {x.shape} and general_y is {y.shape}; expected (N, ...) and what y is",
            where=str(path),
            next=SAVE_IT.replace("x=..., y=...", "general_x=..., general_y=..."),
        )
    if (x.dtype == np.uint8) != (arrays["x"].dtype == np.uint8):
        raise BadInput(
            f"x is {arrays['x'].dtype} and general_x is {x.dtype}: bytes become 0 to 1, other numbers stay",
            where=str(path),
            next="Save both in one dtype.",
        )
    return x, y.astype(targets.y.dtype)
