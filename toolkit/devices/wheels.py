"""Which versions of ONNX Runtime and NumPy a board's Python gets: the newest that have wheels for it.

Every one of them loads what the host exports (ONNX opset 20, IR version 10: ONNX Runtime 1.19 or later) and takes
external initializers. They need glibc 2.27 or 2.28; on musl, on Android and on 32 bits there are none.
"""

import re
from dataclasses import dataclass
from importlib import metadata

from toolkit.errors import BoardError

NEEDS_PYTHON = "Python 3.9 to 3.14"


@dataclass(frozen=True)
class Pins:
    """One set of versions, and the oldest glibc (2.N) that its wheels run on."""

    onnxruntime: str
    numpy: str
    glibc_minor: int

    @property
    def distributions(self) -> tuple[str, ...]:
        """As pip names them."""
        return (f"onnxruntime=={self.onnxruntime}", f"numpy=={self.numpy}")


def pins_by_minor() -> dict[int, Pins]:
    """For each Python 3.N: from 3.11 on, the very version of this machine."""
    here = Pins(metadata.version("onnxruntime"), "2.4.6", 28)
    return {9: Pins("1.19.2", "2.0.2", 27), 10: Pins("1.23.2", "2.2.6", 27)} | dict.fromkeys(range(11, 15), here)


# What reads texts and images that applications give, and its last versions for older Pythons.
_READERS = {"texts": ("tokenizers", {"3.9": "0.22.2"}), "images": ("pillow", {"3.9": "11.3.0", "3.10": "12.3.0"})}


def reader_for(kind: str, python: str) -> str:
    """The package that a board with that Python gets to read those: of this machine's version, if there is one for it.

    It needs none of those that it depends on: they fetch tokenizers from the network.
    """
    name, older = _READERS[kind]
    minor = ".".join(python.split(".")[:2])
    return f"{name}=={older.get(minor) or metadata.version(name)}"


def runtime_versions() -> tuple[str, ...]:
    """Every version that some board may have, the newest first."""
    return tuple(dict.fromkeys(pins.onnxruntime for _, pins in sorted(pins_by_minor().items(), reverse=True)))


def why_no_wheels(python: str, libc: str | None) -> str | None:
    """Why a Python `3.N.M` on that C library (`glibc 2.N`) can have none; None if it can."""
    glibc = re.fullmatch(r"glibc 2\.(\d+)", libc or "")
    if glibc is None:
        return f"its C library is {libc or 'unknown'}, and the wheels of ONNX Runtime need glibc"
    pins = pins_by_minor().get(int(python.split(".")[1]))
    if pins is None:
        return f"it has Python {python}, and ONNX Runtime comes for {NEEDS_PYTHON}"
    if int(glibc[1]) < pins.glibc_minor:
        return f"it has {libc}, and ONNX Runtime {pins.onnxruntime} needs glibc 2.{pins.glibc_minor}"
    return None


def pins_for(python: str, libc: str | None, where: str) -> Pins:
    """What such a board gets. Raises BoardError if there is nothing for it."""
    why = why_no_wheels(python, libc)
    if why:
        raise BoardError(why, where=where, next="Give --runtime executorch, which brings its own libraries.")
    return pins_by_minor()[int(python.split(".")[1])]
