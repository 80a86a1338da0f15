"""Boxes as they lie in files: a text an image (YOLO), or one JSON of all (COCO)."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from toolkit.errors import BadInput, first_line
from toolkit.reading import Reading

# Of one image: class, centre x and y, width and height, the latter as shares of the image.
Marked = list[tuple[float, ...]]
# A share is written with so many digits that edges lie a little outside.
_ROUNDING = 1e-3
# A class beyond is a slip of the pen: the largest sets of labels have some 20,000.
_MOST_CLASSES = 100_000


def filled_up(of_images: Sequence[Marked]) -> np.ndarray:
    """(N, objects, 5) float32: rows of -1 follow those of images with fewer objects."""
    most = max(1, *(len(boxes) for boxes in of_images), 1)
    y = np.full((len(of_images), most, 5), -1, np.float32)
    for row, boxes in zip(y, of_images, strict=True):
        row[: len(boxes)] = np.array(boxes, np.float32).reshape(-1, 5)
    return y


def boxes_from_yolo(folder: Path, images: Sequence[Path], reading: Reading) -> list[Marked]:
    """Of each image the lines `class x y width height` in the `.txt` of its name; without one, it shows nothing.

    Raises BadInput that says which line is wrong, and where no file has an image's name.
    """
    texts = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".txt"}
    if not any(image.stem in texts for image in images):
        raise BadInput(
            f"has no file named as an image: {images[0].stem}.txt, say",
            where=str(folder),
            next="Name each as its image.",
        )
    return [
        _cropped(_lines(texts[image.stem]) if image.stem in texts else [], _size(image), reading) for image in images
    ]


def read_text(file: Path) -> str:
    """A text in UTF-8, with or without a mark of its order of bytes. Raises BadInput."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {first_line(error)}", where=str(file), next="Save it as UTF-8.") from None


def _lines(file: Path) -> Marked:
    lines = enumerate(read_text(file).splitlines(), 1)
    return [_box(file, number, line) for number, line in lines if line.strip()]


def _box(file: Path, number: int, line: str) -> tuple[float, ...]:
    try:
        box = tuple(float(part) for part in line.split())
    except ValueError:
        box = ()
    right = len(box) == 5 and 0 <= box[0] < _MOST_CLASSES and box[0] == math.floor(box[0])
    if not right or not all(0 <= each <= 1 + _ROUNDING for each in box[1:]) or 0 in box[3:]:
        raise BadInput(
            f"line {number} is no box: '{line.strip()[:60]}'",
            where=str(file),
            next="Write: class x y width height; x and y of the centre, all four as shares of the image.",
        )
    return box


def boxes_from_coco(
    file: Path, images: Sequence[Path], reading: Reading, named: Sequence[str] | None
) -> tuple[list[Marked], tuple[str, ...]]:
    """Of each image its boxes, and names of classes: those `named`, else its categories in the order of their ids.

    Crowds are left out. Raises BadInput if it is no such file, does not know an image, or has an annotation of no image
    or category, or without an area.
    """
    text = read_text(file)
    try:
        content = json.loads(text)
        pictures = {each["id"]: each for each in content["images"]}
        by_name = {Path(each["file_name"]).name: each for each in content["images"]}
        categories = {each["id"]: str(each["name"]) for each in content["categories"]}
        counts = [len(content[key]) for key in ("images", "categories")]
        annotations = [each for each in content["annotations"] if not each.get("iscrowd")]
        names = tuple(named or (categories[each] for each in sorted(categories)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _not_coco(file, first_line(error)) from None
    if counts != [len(pictures), len(categories)] or len(by_name) != counts[0]:
        raise _not_coco(file, "two images, or two categories, have one id or one name")
    if absent := sorted(set(categories.values()) - set(names)):
        raise BadInput(
            f"has categories that classes.txt does not name: {', '.join(absent[:5])}",
            where=str(file),
            next="Write one name a line, of each class that the model knows.",
        )
    marked: dict[Any, list[tuple[int, list[float]]]] = {}
    for number, each in enumerate(annotations):
        label, box = _annotated(file, number, each, pictures, categories, names)
        marked.setdefault(each["image_id"], []).append((label, box))
    found = []
    for image in images:
        if image.name not in by_name:
            raise BadInput(f"{file.name} does not know it", where=str(image), next="Remove it, or annotate it.")
        said, size = by_name[image.name], _size(image)
        if "width" in said and "height" in said and (said["width"], said["height"]) != size:
            raise BadInput(
                f"is {size[0]} x {size[1]} pixels, and {said['width']} x {said['height']} in {file.name}",
                where=str(image),
                next="Give the images that were annotated.",
            )
        found.append(_cropped([_as_shares(*each, size) for each in marked.get(said["id"], [])], size, reading))
    return found, names


def _annotated(
    file: Path,
    number: int,
    said: Any,
    images: Mapping[Any, Any],
    categories: Mapping[Any, str],
    names: Sequence[str],
) -> tuple[int, list[float]]:
    """Class and box (left, top, width, height) of one annotation."""
    try:
        box = [float(each) for each in said["bbox"]]
        image, category = said["image_id"], said["category_id"]
        is_known = image in images and category in categories
    except (KeyError, TypeError, ValueError) as error:
        raise _not_coco(file, f"annotation {number}: {first_line(error)}") from None
    if not is_known:
        raise _not_coco(
            file, f"annotation {number} is of image {image!r} and category {category!r}, one of which is not"
        )
    if len(box) != 4 or not all(map(math.isfinite, box)) or min(box[2:]) <= 0:
        raise _not_coco(file, f"the bbox of annotation {number} is {said['bbox']}: left, top, width, height are wanted")
    return names.index(categories[category]), box


def _not_coco(file: Path, wrong: str) -> BadInput:
    return BadInput(
        f"is no annotations as COCO writes them: {wrong}",
        where=str(file),
        next="It needs images, categories, and annotations with image_id, category_id and bbox.",
    )


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
