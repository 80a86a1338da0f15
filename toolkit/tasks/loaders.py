"""Tasks from where people keep them: a folder `class/*.png|wav|npy`, a `.npz`, or a Python factory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from toolkit.errors import BadInput, first_line
from toolkit.factories import call_factory
from toolkit.tasks.files import ARRAYS, IMAGES, RECORDINGS, SUFFIXES, Example, read_example
from toolkit.tasks.task import Examples, Task, validate_task

_SAVE_IT = "Save it with numpy.savez(x=..., y=...)."
# One general example in five is held out, where there are enough for that to say something.
_ONE_IN, _ENOUGH_TO_SHARE = 5, 50


def load_task(source: str, *, shots: int, seed: int) -> Task:
    """Read and validate the task. From a folder or `.npz`, `shots` examples a class become the support, the rest query.

    Raises BadInput that says what is wrong with the source.
    """
    path = Path(source)
    if path.is_dir():
        task = _from_folder(path, shots, seed)
    elif path.suffix == ".npz" and path.exists():
        task = _from_npz(path, shots, seed)
    elif ":" in source and not path.exists():
        task = call_factory(source, "task", Task, shots=shots, seed=seed)
    else:
        raise BadInput(
            "there is no such task" if not path.exists() else "this is no task",
            where=source,
            next="Give a folder with one sub-folder a class, a .npz with x and y, or package.module:factory.",
        )
    return validate_task(task, source)


def split_support(
    x: np.ndarray, y: np.ndarray, *, shots: int, seed: int, where: str, classes: Sequence[str] = ()
) -> tuple[Examples, Examples]:
    """Draw `shots` examples of each class as support; the rest is query. Raises BadInput if a class has too few.

    Labels index `classes`, where given: an error then names the class.
    """
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        if len(members) <= shots:
            name = classes[label] if len(classes) else label
            raise BadInput(
                f"class {name} has {len(members)} example(s); {shots} for support leave none to query",
                where=where,
                next=f"Add examples, or lower --shots to {len(members) - 1}." if len(members) > 1 else "Add examples.",
            )
        chosen[generator.permutation(members)[:shots]] = True
    return _examples(x[chosen], y[chosen]), _examples(x[~chosen], y[~chosen])


def _examples(x: np.ndarray, y: np.ndarray) -> Examples:
    return Examples(torch.from_numpy(np.ascontiguousarray(x, np.float32)), torch.from_numpy(y.astype(np.int64)))


def _from_npz(path: Path, shots: int, seed: int) -> Task:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror or first_line(error)}", where=str(path), next=_SAVE_IT
        ) from None
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds on damaged bytes
        if "allow_pickle" in str(error):
            raise BadInput(
                "holds an array of Python objects, which is not unpickled",
                where=str(path),
                next="Save names as y.astype(str), and numbers as an array of one dtype.",
            ) from None
        raise BadInput("is no archive of plain arrays", where=str(path), next=_SAVE_IT) from None
    missing = [name for name in ("x", "y") if name not in arrays]
    if missing:
        said = f"has no array {' and '.join(missing)} (it has {', '.join(arrays) or 'none'})"
        raise BadInput(said, where=str(path), next=_SAVE_IT)
    x, y = arrays["x"], arrays["y"]
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind == "f" and y.ndim == 1:
        raise BadInput(
            f"y is {y.dtype}: labels are integers or names, and targets of a regression cannot be learned",
            where=str(path),
            next="If they are classes, save y.astype(int).",
        )
    unusable = x.dtype.kind not in "fiu" or y.dtype.kind not in "biuU"
    if unusable or x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise BadInput(
            f"x is {x.dtype} {x.shape} and y is {y.dtype} {y.shape}; expected numbers (N, ...) and labels (N,)",
            where=str(path),
            next=_of_rows(y) if y.ndim == 2 else _SAVE_IT,
        )
    names, labels = np.unique(y, return_inverse=True)
    if len(x) == 0:
        raise BadInput("is empty", where=str(path), next="Give at least two classes with a few examples each.")
    support, query = split_support(x, labels, shots=shots, seed=seed, where=str(path), classes=list(map(str, names)))
    general = general_query = None
    general_names = [name for name in ("general_x", "general_y") if name in arrays]
    if len(general_names) == 1:
        raise BadInput(f"has {general_names[0]} alone", where=str(path), next="Save both general_x and general_y.")
    if general_names:
        general_x, general_y = arrays["general_x"], arrays["general_y"]
        if general_x.dtype.kind not in "fiu" or general_y.dtype.kind not in "iu":
            raise BadInput(
                f"general_x is {general_x.dtype} and general_y is {general_y.dtype}; expected numbers and integers",
                where=str(path),
                next="General labels index the model's own outputs.",
            )
        held_out = _drawn_to_judge_on(len(general_y), seed)
        if len(held_out) and len(general_x) == len(general_y):
            general_query = _examples(general_x[held_out], general_y[held_out])
            general_x, general_y = np.delete(general_x, held_out, 0), np.delete(general_y, held_out, 0)
        general = _examples(general_x, general_y)
    return Task(path.stem, tuple(map(str, names)), support, query, general=general, general_query=general_query)


def _of_rows(y: np.ndarray) -> str:
    """What to do about labels of two dimensions: rows with one label each can be numbers."""
    is_one_hot = y.dtype.kind in "biuf" and bool(((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all())
    if is_one_hot:
        return "Of one-hot labels save y.argmax(1)."
    return "Several labels an example cannot be learned: save one label (N,)."


def _drawn_to_judge_on(count: int, seed: int) -> np.ndarray:
    """Which of the general examples nothing is learned from; of a handful, none."""
    drawn = count // _ONE_IN if count >= _ENOUGH_TO_SHARE else 0
    return np.sort(np.random.default_rng(seed).permutation(count)[:drawn])


def _from_folder(folder: Path, shots: int, seed: int) -> Task:
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    files = [
        (file, index)
        for index, name in enumerate(classes)
        for file in sorted((folder / name).iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]
    if not files:
        raise BadInput(
            f"has no class/*{'|'.join(SUFFIXES)}",
            where=str(folder),
            next="Make one sub-folder a class and put its examples there.",
        )
    paths = [file for file, _ in files]
    _require_one_kind(paths)
    arrays = _of_one_shape(paths, [read_example(file) for file in paths])
    labels = np.array([index for _, index in files])
    support, query = split_support(np.stack(arrays), labels, shots=shots, seed=seed, where=str(folder), classes=classes)
    return Task(folder.name, tuple(classes), support, query)


def _require_one_kind(files: list[Path]) -> None:
    """Images are in 0..1, recordings in -1..1, and arrays as they are: they have no scale in common."""
    for kind in (IMAGES, RECORDINGS, ARRAYS):
        of_kind = [file.suffix.lower() in kind for file in files]
        if any(of_kind) and not all(of_kind):
            raise BadInput(
                f"is of another kind than {files[of_kind.index(True)].name}",
                where=str(files[of_kind.index(False)]),
                next="Keep images, recordings and arrays apart: their values have different scales.",
            )


def _of_one_shape(files: list[Path], examples: list[Example]) -> list[np.ndarray]:
    """Shorter recordings end in silence, and grey images among coloured ones have three equal channels.

    Raises BadInput for what has another shape or sample rate.
    """
    for file, example in zip(files, examples, strict=True):
        if example.rate_hz != examples[0].rate_hz:
            raise BadInput(
                f"has {example.rate_hz} samples a second, while {files[0].name} has {examples[0].rate_hz}",
                where=str(file),
                next="Bring all recordings to the rate that the model learned, e.g. with sox -r.",
            )
    arrays = [example.values for example in examples]
    if examples[0].rate_hz is not None:
        longest = max(array.shape[-1] for array in arrays)
        arrays = [np.pad(array, [(0, 0), (0, longest - array.shape[-1])]) for array in arrays]
    if files[0].suffix.lower() in IMAGES and {len(array) for array in arrays} == {1, 3}:
        arrays = [np.repeat(array, 3, 0) if len(array) == 1 else array for array in arrays]
    for file, array in zip(files, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise BadInput(
                f"has shape {array.shape}, while {files[0].name} has {arrays[0].shape}",
                where=str(file),
                next="Bring all examples to one size.",
            )
    return arrays
