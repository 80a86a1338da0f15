"""Boxes as they lie in files: a text an image (YOLO), or one JSON of all (COCO)."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from toolkit.errors import BadInput, first_line
from toolkit.reading import Reading

# Of one image: class, centre x and y, width and height, the latter as shares of the image.
Marked = list[tuple[float, ...]]


def filled_up(of_images: Sequence[Marked]) -> np.ndarray:
    """(N, objects, 5) float32: rows of -1 follow those of images with fewer objects."""
    most = max(1, *(len(boxes) for boxes in of_images), 1)
    y = np.full((len(of_images), most, 5), -1, np.float32)
    for row, boxes in zip(y, of_images, strict=True):
        row[: len(boxes)] = np.array(boxes, np.float32).reshape(-1, 5)
    return y


def boxes_from_yolo(folder: Path, images: Sequence[Path], reading: Reading) -> list[Marked]:
    """Of each image the lines `class x y width height` in the `.txt` of its name; without one, it shows nothing.

    Raises BadInput that says which line is wrong.
    """
    return [_cropped(_lines(folder / f"{image.stem}.txt"), _size(image), reading) for image in images]


def _lines(file: Path) -> Marked:
    if not file.exists():
        return []
    boxes: Marked = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            box = tuple(float(part) for part in line.split())
        except ValueError:
            box = ()
        right = len(box) == 5 and box[0] >= 0 and box[0] == math.floor(box[0])
        if not right or not all(0 <= each <= 1 for each in box[1:]):
            raise BadInput(
                f"line {number} is no box: '{line.strip()[:60]}'",
                where=str(file),
                next="Write: class x y width height; x and y of the centre, all four as shares of the image.",
            )
        boxes.append(box)
    return boxes


def boxes_from_coco(file: Path, images: Sequence[Path], reading: Reading) -> tuple[list[Marked], tuple[str, ...]]:
    """Of each image its boxes, and the names of the categories, in the order of their ids; crowds are left out.

    Raises BadInput if it is no such file, or does not know an image.
    """
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        categories = sorted(content["categories"], key=lambda each: each["id"])
        known = {Path(each["file_name"]).name: each["id"] for each in content["images"]}
        labels = {each["id"]: index for index, each in enumerate(categories)}
        marked: dict[Any, list[tuple[int, list[float]]]] = {}
        for each in content["annotations"]:
            if not each.get("iscrowd"):
                left, top, width, height = map(float, each["bbox"])
                box = [left, top, width, height]
                marked.setdefault(each["image_id"], []).append((labels[each["category_id"]], box))
        names = tuple(str(each["name"]) for each in categories)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"is no annotations as COCO writes them: {type(error).__name__}: {first_line(error)}",
            where=str(file),
            next="It needs images, categories, and annotations with image_id, category_id and bbox.",
        ) from None
    found = []
    for image in images:
        if image.name not in known:
            raise BadInput(f"{file.name} does not know it", where=str(image), next="Remove it, or annotate it.")
        size = _size(image)
        boxes = [_as_shares(label, box, size) for label, box in marked.get(known[image.name], [])]
        found.append(_cropped(boxes, size, reading))
    return found, names


def _size(image: Path) -> tuple[int, int]:
    """Width and height, upright."""
    with Image.open(image) as opened:
        return ImageOps.exif_transpose(opened).size


def _as_shares(label: int, box: Sequence[float], size: tuple[int, int]) -> tuple[float, ...]:
    left, top, width, height = box
    of_x, of_y = size
    return (label, (left + width / 2) / of_x, (top + height / 2) / of_y, width / of_x, height / of_y)


def _cropped(boxes: Marked, size: tuple[int, int], reading: Reading) -> Marked:
    """As they lie in the image's centre of the proportions that it is cropped to; what lies outside is gone."""
    of_x, of_y = (1.0, 1.0) if reading.image_size is None else _kept(size, reading.image_size)
    made: Marked = []
    for label, x, y, width, height in boxes:
        sides = []
        for centre, side, of in ((x, width, of_x), (y, height, of_y)):
            low, high = ((edge - 0.5) / of + 0.5 for edge in (centre - side / 2, centre + side / 2))
            sides.append((max(low, 0.0), min(high, 1.0)))
        (left, right), (top, bottom) = sides
        if right > left and bottom > top:
            made.append((label, (left + right) / 2, (top + bottom) / 2, right - left, bottom - top))
    return made


def _kept(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[float, float]:
    """Which shares of an image (width, height) remain when it is cropped to the proportions of (height, width)."""
    ratio = (size[0] / size[1]) / (wanted[1] / wanted[0])
    return (1 / ratio, 1.0) if ratio > 1 else (1.0, ratio)
