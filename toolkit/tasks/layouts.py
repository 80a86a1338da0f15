"""Where images lie in a folder, and beside them what is to be found in them: as annotating tools write it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toolkit.errors import BadInput
from toolkit.tasks.files import IMAGES

Kind = Literal["masks", "YOLO", "COCO"]

_TRAIN = ("train", "train2017", "training")


@dataclass(frozen=True)
class Layout:
    """A folder of images, and a folder of masks or texts, or COCO's file; `split` names the one of several it is."""

    images: Path
    marks: Path
    kind: Kind
    split: str | None = None


def find_layouts(folder: Path) -> list[Layout]:
    """All that could be meant: none, or more than one where a folder has marks of more than one kind."""
    found = list(_beside(folder / "images", folder, None))
    for split in _TRAIN if not found else ():
        found += _beside(folder / "images" / split, folder, split)  # Ultralytics: images/train, labels/train
        found += _beside(folder / split / "images", folder / split, split)  # Roboflow's YOLO
        found += _coco(folder / split, folder / split / "_annotations.coco.json", split)  # Roboflow's COCO
        found += _coco(folder / split, folder / "annotations" / f"instances_{split}.json", split)  # COCO as published
    return found or list(_coco(folder, folder / "_annotations.coco.json", None))


def images_of(folder: Path) -> list[Path]:
    """Images that lie in it, by name."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in inside if file.suffix.lower() in IMAGES and not file.name.startswith("."))


def _beside(images: Path, folder: Path, split: str | None) -> Iterator[Layout]:
    """Classes may be called as these folders are: then there is an image in each, and no marks."""
    kinds: tuple[tuple[str, Kind, str], ...] = (("masks", "masks", ".png"), ("labels", "YOLO", ".txt"))
    for name, kind, suffix in kinds:
        marks = folder / name / split if images.parent.name == "images" and split else folder / name
        if images.is_dir() and any(file.suffix.lower() == suffix for file in marks.glob("*")):
            yield Layout(images, marks, kind, split)
    yield from _coco(images, folder / "annotations.json", split)


def _coco(images: Path, file: Path, split: str | None) -> Iterator[Layout]:
    if images.is_dir() and file.is_file():
        yield Layout(images, file, "COCO", split)


def require_one(folder: Path, found: list[Layout]) -> Layout:
    """Raises BadInput where a folder has marks of several kinds."""
    if len(found) > 1:
        raise BadInput(
            f"has both {' and '.join(str(each.marks.relative_to(folder)) for each in found)}",
            where=str(folder),
            next="Leave what is to be learned.",
        )
    return found[0]
