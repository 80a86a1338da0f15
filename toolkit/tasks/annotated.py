"""A task from a folder of `images` and of what is to be found in them: `masks`, or boxes as YOLO or COCO write them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.errors import BadInput
from toolkit.objectives import Boxes, Labelling, Objective
from toolkit.reading import Reading, require_of_use
from toolkit.tasks.box_files import Marked, boxes_from_coco, boxes_from_yolo, filled_up
from toolkit.tasks.files import IMAGES, read_example
from toolkit.tasks.masks import read_masks
from toolkit.tasks.split import WITHOUT_CLASSES, draw_support
from toolkit.tasks.task import Task
from toolkit.tasks.values import scaled_examples_of

_IMAGES, _MASKS, _YOLO, _COCO = "images", "masks", "labels", "annotations.json"
_MARKS = (_MASKS, _YOLO, _COCO)
_NAMES = "classes.txt"


@dataclass(frozen=True)
class _Marks:
    """Targets (N, ...) of all images, what judges them, and the names of their classes."""

    y: np.ndarray
    objective: Objective
    classes: tuple[str, ...]


def is_annotated(folder: Path) -> bool:
    """Whether it has `images`, and beside them what tells of them."""
    return (folder / _IMAGES).is_dir() and any((folder / name).exists() for name in _MARKS)


def task_from_annotated(
    folder: Path, shots: int, seed: int, reading: Reading, usual: Reading, on_note: Callable[[str], None]
) -> Task:
    """Support of ten times `shots` images, and query. Raises BadInput that says which file is wrong."""
    require_of_use(reading, ("image_size", "mean", "std"), str(folder), "a folder of annotated images")
    reading = reading.or_usual(usual, ("image_size",))
    files = sorted(file for file in (folder / _IMAGES).iterdir() if file.suffix.lower() in IMAGES)
    if not files:
        raise BadInput("has no images", where=str(folder / _IMAGES), next=f"Put {', '.join(IMAGES)} files there.")
    x = _images(files, reading)
    marks = _marks(folder, files, reading, (x.shape[-1], x.shape[-2]))
    if isinstance(marks.objective, Boxes):
        on_note(f"{folder} holds boxes: the model is taken to write pixels and probabilities, as YOLO detectors do")
    rows = draw_support(
        np.zeros(len(files), np.int64), shots=shots * WITHOUT_CLASSES, seed=seed, where=str(folder), classes=("of all",)
    )
    support, query = (scaled_examples_of(x, marks.y, part, reading, str(folder)) for part in rows)
    return Task(folder.name, marks.classes, support, query, objective=marks.objective)


def _images(files: Sequence[Path], reading: Reading) -> np.ndarray:
    """(N, channels, height, width), of one size; grey ones among coloured have three equal channels."""
    arrays = [read_example(file, reading).values for file in files]
    channels = max(len(array) for array in arrays)
    arrays = [np.repeat(array, channels, 0) if len(array) == 1 else array for array in arrays]
    for file, array in zip(files, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise BadInput(
                f"has shape {array.shape}, while {files[0].name} has {arrays[0].shape}",
                where=str(file),
                next="Give --image-size N or HEIGHTxWIDTH: each is then scaled, and cropped to its centre.",
            )
    return np.stack(arrays)


def _marks(folder: Path, files: Sequence[Path], reading: Reading, sides: tuple[int, int]) -> _Marks:
    there = [name for name in _MARKS if (folder / name).exists()]
    if len(there) > 1:
        raise BadInput(f"has both {' and '.join(there)}", where=str(folder), next="Leave what is to be learned.")
    if there == [_MASKS]:
        y = read_masks(folder / _MASKS, files, reading)
        return _Marks(y, Labelling(), _named(folder, int(y.max()) + 1))
    if there == [_YOLO]:
        of_images = boxes_from_yolo(folder / _YOLO, files, reading)
        most = max((box[0] for boxes in of_images for box in boxes), default=-1.0)
        return _boxes(of_images, _named(folder, int(most) + 1), sides)
    return _boxes(*boxes_from_coco(folder / _COCO, files, reading), sides)


def _boxes(of_images: list[Marked], classes: tuple[str, ...], sides: tuple[int, int]) -> _Marks:
    y = filled_up(of_images)
    width, height = sides
    return _Marks(y, Boxes(len(classes), y.shape[1], (float(width), float(height)), probabilities=True), classes)


def _named(folder: Path, count: int) -> tuple[str, ...]:
    """The lines of `classes.txt`, if there is one, else numbers. Raises BadInput if it has fewer than are used."""
    if not (folder / _NAMES).exists():
        return tuple(map(str, range(count)))
    names = tuple((folder / _NAMES).read_text(encoding="utf-8").split("\n"))
    names = tuple(name.strip() for name in names if name.strip())
    if len(names) < count:
        raise BadInput(
            f"names {len(names)} classes, and {count - 1} is used as one, counted from 0",
            where=str(folder / _NAMES),
            next="Write one name a line, of each class that the model knows.",
        )
    return names
