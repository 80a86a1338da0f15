"""What a board serves as plain files at a path that stays: a program, and beside it what fills its holes.

`model` in our folder leads to `adapted/DIGEST/STATE`, which holds the release's own program and manifest (no more bytes
on the disk) and `holes.bin`, where the program says that its external data lie. A state is `installed`, or what was
learned, by the beginning of its SHA-256. The host leads `model` there, too (`toolkit/devices/releases/plain.py`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from .digests import read_manifest, sha256
from .release import fill_holes, load_tensors
from .served import Served, look

HOLES, MODEL = "holes.bin", "model"
_INSTALLED = "installed"
_ALIGNMENT = 64


def aligned(offset: int) -> int:
    """Where the next one begins."""
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def write_plain(served: Served) -> str:
    """The folder with the state of `served`, whole or not at all; one that is there and damaged is mended."""
    folder = os.path.join(served.root, "adapted", served.digest, state_of(served.adapted if served.state else None))
    manifest = read_manifest(served.folder)
    data = _laid_out(fill_holes(manifest, load_tensors(served.folder, served.adapted if served.state else None)))
    if _holds(os.path.join(folder, HOLES), data):
        return folder
    part = f"{folder}.{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    for name in (manifest["infer"]["program"], "manifest.json"):
        _share(os.path.join(served.folder, name), os.path.join(part, name))
    _write(os.path.join(part, HOLES), data)
    try:
        os.rename(part, folder)
    except OSError:  # it is there, damaged, or just written by another learner
        os.replace(os.path.join(part, HOLES), os.path.join(folder, HOLES))
        shutil.rmtree(part)
    return folder


def lead_to(served: Served) -> None:
    """Let `model` lead to that state, by one rename, if that release is served; states that nothing goes back to go."""
    folder = write_plain(served)
    if look(served.root).digest != served.digest:
        return
    aside = os.path.join(served.root, "adapted", f"{MODEL}.{os.getpid()}")
    with suppress(FileNotFoundError):
        os.remove(aside)
    os.symlink(os.path.relpath(folder, served.root), aside)
    os.replace(aside, os.path.join(served.root, MODEL))
    before = os.path.join(served.root, "adapted", served.digest + ".before.safetensors")
    kept = {_INSTALLED, os.path.basename(folder), state_of(before if os.path.isfile(before) else None)}
    for name in set(os.listdir(os.path.dirname(folder))) - kept:
        shutil.rmtree(os.path.join(os.path.dirname(folder), name), ignore_errors=True)


def state_of(learned: str | None) -> str:
    """The name of the state that a file of what was learned holds; None: nothing was."""
    return sha256(learned)[:16] if learned else _INSTALLED


def _share(path: str, new: str) -> None:
    """The same bytes under another name; a copy where the file system has no such thing."""
    try:
        os.link(path, new)
    except OSError:
        shutil.copyfile(path, new)


def _laid_out(values: Mapping[str, Any]) -> bytes:
    data = bytearray()
    for value in values.values():
        data += bytes(aligned(len(data)) - len(data)) + np.ascontiguousarray(value).tobytes()
    return bytes(data)


def _holds(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read() == data
    except OSError:
        return False


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
