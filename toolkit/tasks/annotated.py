"""A task from a folder of `images` and of what is to be found in them: `masks`, or boxes as YOLO or COCO write them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.errors import BadInput
from toolkit.objectives import Boxes, Labelling, Objective
from toolkit.preprocessing import Preprocessing
from toolkit.reading import Reading, require_of_use
from toolkit.tasks.box_files import boxes_from_coco, boxes_from_yolo, filled_up, read_text
from toolkit.tasks.files import IMAGES, read_example
from toolkit.tasks.layouts import Layout, find_layouts, images_of, require_one
from toolkit.tasks.masks import read_masks
from toolkit.tasks.split import draw_support_of_all
from toolkit.tasks.task import Task
from toolkit.tasks.values import scaled_examples_of

_NAMES = "classes.txt"


@dataclass(frozen=True)
class _Marks:
    """Targets (N, ...) of all images, what judges them, and the names of their classes."""

    y: np.ndarray
    objective: Objective
    classes: tuple[str, ...]


def is_annotated(folder: Path) -> bool:
    """Whether it has images, and beside them what tells of them."""
    return bool(find_layouts(folder))


def task_from_annotated(
    folder: Path, shots: int, seed: int, reading: Reading, usual: Reading, on_note: Callable[[str], None]
) -> Task:
    """Support of ten times `shots` images, and query. Raises BadInput that says which file is wrong."""
    require_of_use(reading, ("image_size", "mean", "std"), str(folder), "a folder of annotated images")
    own, reading = reading, reading.or_usual(usual, ("image_size",))
    if reading != own and reading.image_size:
        size = " x ".join(map(str, reading.image_size))
        on_note(f"{folder}: images are scaled and cropped to {size} pixels, which the model's directory names")
    layout = require_one(folder, find_layouts(folder))
    if layout.split:
        on_note(f"{folder}: what lies in {layout.images.relative_to(folder)} is the task, and no other split")
    files = _files(layout.images)
    x = _images(files, reading)
    marks = _marks(folder, layout, files, reading, (x.shape[-1], x.shape[-2]))
    if isinstance(marks.objective, Boxes):
        on_note(f"{folder} holds boxes: the model is taken to write pixels and probabilities, as YOLO detectors do")
    rows = draw_support_of_all(len(files), shots=shots, seed=seed, where=str(folder))
    support, query = (scaled_examples_of(x, marks.y, part, reading, str(folder)) for part in rows)
    made = Preprocessing("images", reading.mean, reading.std, image_size=reading.image_size)
    return Task(folder.name, marks.classes, support, query, objective=marks.objective, preprocessing=made)


def _files(folder: Path) -> list[Path]:
    if not (files := images_of(folder)):
        raise BadInput(
            "has no images",
            where=str(folder),
            next=f"Put {', '.join(IMAGES)} files there, not into folders of it but train.",
        )
    by_stem: dict[str, Path] = {}
    for file in files:
        if file.stem in by_stem:
            raise BadInput(
                f"has the name of {by_stem[file.stem].name}: what is to be found would be the same in both",
                where=str(file),
                next="Rename one.",
            )
        by_stem[file.stem] = file
    return files


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


def _marks(folder: Path, layout: Layout, files: Sequence[Path], reading: Reading, sides: tuple[int, int]) -> _Marks:
    names = _names(folder)
    if layout.kind == "masks":
        y = read_masks(layout.marks, files, reading)
        return _Marks(y, Labelling(), _named(folder, names, int(y.max()) + 1))
    if layout.kind == "YOLO":
        of_images = boxes_from_yolo(layout.marks, files, reading)
        most = max((box[0] for boxes in of_images for box in boxes), default=-1.0)
        names = _named(folder, names, int(most) + 1)
    else:
        of_images, names = boxes_from_coco(layout.marks, files, reading, names)
    if not any(of_images):
        raise BadInput("shows no box in any image", where=str(layout.marks), next="Annotate the images.")
    y, (width, height) = filled_up(of_images), sides
    return _Marks(y, Boxes(len(names), y.shape[1], (float(width), float(height)), probabilities=True), names)


def _names(folder: Path) -> tuple[str, ...] | None:
    """The lines of `classes.txt`, if there is one."""
    if not (folder / _NAMES).exists():
        return None
    names = tuple(name.strip() for name in read_text(folder / _NAMES).splitlines() if name.strip())
    if len(set(names)) < len(names):
        raise BadInput("names a class twice", where=str(folder / _NAMES), next="Write one name a line.")
    return names


def _named(folder: Path, names: tuple[str, ...] | None, count: int) -> tuple[str, ...]:
    """Names of that many classes, numbers where there are none. Raises BadInput if there are fewer than are used."""
    if names is None:
        return tuple(map(str, range(count)))
    if len(names) < count:
        raise BadInput(
            f"names {len(names)} classes, and {count - 1} is used as one, counted from 0",
            where=str(folder / _NAMES),
            next="Write one name a line, of each class that the model knows.",
        )
    return names
