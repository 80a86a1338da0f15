"""Pictures as an application has them become what a network takes, as the host made it of the task's files."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import EdgeRuntimeError

if TYPE_CHECKING:
    from PIL import Image

# What a transparent pixel lies on: its own colour is whatever a drawing program left there.
_BACKGROUND = (255, 255, 255, 255)


def pixels_of(image: Image.Image, size: tuple[int, int] | None) -> np.ndarray:
    """(C, H, W) in 0..1, float32, grey or in colour; of that (height, width), if one is given.

    It stands as its camera held it (EXIF); what is transparent is white.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return np.asarray(_of_size(image.convert("F"), size), np.float32)[None] / 65535
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _BACKGROUND), image).convert("RGB")
    image = _of_size(image if image.mode in ("L", "RGB") else image.convert("RGB"), size)
    pixels = np.asarray(image, np.float32) / 255
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _of_size(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    """Its centre, of that (height, width)'s proportions, scaled by means over all pixels that become one."""
    from PIL import Image, ImageOps

    if size is None:
        return image
    height, width = size
    return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class Pictures:
    """How those of a release are read: `size` (height, width) that each becomes, None: all of its files had one."""

    size: tuple[int, int] | None
    shape: tuple[int, ...]
    said = "a picture"

    def given(self, value: Any) -> tuple[list[Any], bool] | None:
        """The pictures in `value`, and whether it is one alone; None where it is something else."""
        if self._is_one(value):
            return [value], True
        if isinstance(value, np.ndarray) and value.ndim == 4:
            value = list(value)
        if isinstance(value, (list, tuple)) and value and all(map(self._is_one, value)):
            return list(value), False
        return None

    def _is_one(self, value: Any) -> bool:
        """A file by its path or its bytes, or an array (H, W) or (H, W, channels) of bytes."""
        if not isinstance(value, np.ndarray):
            return isinstance(value, (str, bytes, os.PathLike))
        colours = value.ndim == 2 or (value.ndim == 3 and value.shape[2] in (1, 3, 4))
        return value.dtype == np.uint8 and colours and value.size > 0 and value.shape != self.shape

    def rows(self, pictures: Sequence[Any]) -> np.ndarray:
        """(N, C, H, W) in 0..1, in colour where the network takes colours. Raises EdgeRuntimeError."""
        return np.stack([self._pixels(picture) for picture in pictures])

    def _pixels(self, picture: Any) -> np.ndarray:
        try:
            from PIL import Image
        except ImportError as error:
            raise EdgeRuntimeError(
                f"pictures are read by the package Pillow, which cannot be imported here: {error}",
                where="model(...)",
                next="Deploy the release again, which brings it; or pip install pillow; or give arrays of its shape.",
            ) from None
        where = f"model({picture!r})" if isinstance(picture, (str, os.PathLike)) else "model(...)"
        try:
            if isinstance(picture, np.ndarray):
                made = pixels_of(Image.fromarray(picture[:, :, 0] if picture.shape[2:] == (1,) else picture), self.size)
            else:
                with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
                    made = pixels_of(image, self.size)
        except Exception as error:  # decoders raise what they like on damaged bytes
            raise EdgeRuntimeError(f"cannot be read: {error}", where=where, next="Give a .png or .jpg.") from None
        made = np.repeat(made, 3, 0) if (len(made), self.shape[0]) == (1, 3) else made
        if made.shape != self.shape:
            shape, wanted = ("{} channels of {} x {}".format(*each) for each in (made.shape, self.shape))
            raise EdgeRuntimeError(f"has {shape} pixels", where=where, next=f"Give a picture of {wanted} pixels.")
        return made


def pictures_of(manifest: Mapping[str, Any]) -> Pictures | None:
    """Those that a release takes; None where its task held no images."""
    made, ports = manifest.get("preprocessing") or {}, manifest["inputs"]
    if made.get("kind") != "images" or len(ports) != 1 or len(ports[0]["shape"]) != 3:
        return None
    size = made.get("image_size")
    return Pictures(tuple(size) if size else None, tuple(ports[0]["shape"]))
