"""Masks: an image for each image, whose pixels are numbers of classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from toolkit.errors import BadInput, first_line
from toolkit.objectives import IGNORED
from toolkit.reading import Reading

# What PASCAL VOC, Cityscapes and ADE20K give to pixels that count for nothing.
_VOID = 255


def read_masks(folder: Path, images: Sequence[Path], reading: Reading) -> np.ndarray:
    """(N, height, width) int64: of each image the `.png` of its name, cropped and scaled as it is; 255 is ignored.

    Raises BadInput for a mask that is missing, damaged, coloured, or of another size than its image.
    """
    masks = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".png"}
    if absent := [image for image in images if image.stem not in masks]:
        raise BadInput(f"has no mask {absent[0].stem}.png", where=str(absent[0]), next=f"Put it into {folder}.")
    y = np.stack([_mask(masks[image.stem], image, reading) for image in images])
    present = sorted(set(np.unique(y).tolist()) - {IGNORED})
    if len(present) < 2:
        raise BadInput(
            f"has no other class than {present[0]}, and {_VOID} counts for nothing"
            if present
            else "has no class at all",
            where=str(folder),
            next=f"Number classes from 0: of masks with 0 and {_VOID} make the latter 1.",
        )
    return y


def _mask(file: Path, image: Path, reading: Reading) -> np.ndarray:
    try:
        with Image.open(image) as pictured, Image.open(file) as marks:
            upright, mask = ImageOps.exif_transpose(pictured), ImageOps.exif_transpose(marks)
            mask.load()
    except Exception as error:  # decoders raise what they like on damaged bytes
        raise BadInput(
            f"cannot be read: {first_line(error)}", where=str(file), next="Mend or remove the file."
        ) from None
    if mask.mode not in ("1", "L", "P", "I", "I;16"):
        raise BadInput(
            f"has colours ({mask.mode}); a pixel of a mask is the number of its class",
            where=str(file),
            next="Save it as a grey or palette image of class numbers, 255 where nothing counts.",
        )
    if mask.size != upright.size:
        raise BadInput(
            f"is {mask.size[0]} x {mask.size[1]} pixels, its image {upright.size[0]} x {upright.size[1]}",
            where=str(file),
            next="Save the mask in its image's size.",
        )
    if reading.image_size is not None:
        height, width = reading.image_size
        mask = ImageOps.fit(mask, (width, height), Image.Resampling.NEAREST)
    numbers = np.asarray(mask).astype(np.int64)
    return np.where(numbers == _VOID, IGNORED, numbers)
