"""What a board serves as plain files at a path that stays: a program, and beside it what fills its holes.

`model` in our folder leads to `adapted/DIGEST/STATE`, which holds the release's own program and manifest (no more bytes
on the disk) and `holes.bin`, where the program says that its external data lie; and `classes.json` where what was
learned tells others apart: a name a value of the output, or null. A state is `installed`, or what was
learned, by the beginning of its SHA-256. The host leads `model` there, too (`toolkit/devices/releases/plain.py`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from .classes import CLASSES, CLASSES_FILE, rows_of_classes
from .digests import read_manifest, sha256
from .release import fill_holes, load_tensors
from .served import Served, look

HOLES, MODEL = "holes.bin", "model"
_INSTALLED = "installed"
_ALIGNMENT = 64
# Of what a writer that died left.
_STALE_S = 3600.0


def aligned(offset: int) -> int:
    """Where the next one begins."""
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def write_plain(served: Served, learned: str | None) -> str | None:
    """The folder of the state that the file `learned` holds (None: as installed), whole or not at all.

    One that is there and damaged is mended. None for a release of before: its program does not say where its holes lie.
    Raises OSError where the disk is full.
    """
    manifest, tensors = read_manifest(served.folder), load_tensors(served.folder, learned)
    program = manifest["infer"]["program"]
    data = _laid_out(fill_holes(manifest, tensors))
    own = {HOLES: data}
    if CLASSES in tensors:
        own[CLASSES_FILE] = json.dumps(rows_of_classes(manifest, tensors)).encode()
    if data and not _names(os.path.join(served.folder, program), HOLES.encode()):
        return None
    folder = os.path.join(served.root, "adapted", served.digest, state_of(learned))
    shared = [program, "manifest.json"]
    is_whole = all(_holds(os.path.join(folder, name), values) for name, values in own.items())
    if is_whole and all(_same(served.folder, folder, name) for name in shared):
        return folder
    part = f"{folder}.{os.getpid()}.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        for name in shared:
            _share(os.path.join(served.folder, name), os.path.join(part, name))
        for name, values in own.items():
            _write(os.path.join(part, name), values)
        sync_folder(part)
        if os.path.isdir(folder):  # it is damaged
            for name in (*shared, *own):
                os.replace(os.path.join(part, name), os.path.join(folder, name))
        else:
            os.rename(part, folder)
            sync_folder(os.path.dirname(folder))
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def lead_to(served: Served) -> None:
    """Let `model` lead to that state if that release is served; what cannot be is warned of, and `model` goes."""
    try:
        if look(served.root).digest != served.digest:
            return
        while True:
            folder = write_plain(served, served.adapted if served.state else None)
            _point(served.root, folder)
            now = look(served.root)
            if now.digest == served.digest:
                break
            served = now  # a deployer activated it meanwhile, and what it had led to it may be overwritten
        if folder and not os.path.lexists(os.path.join(served.root, "lock")):
            sweep(served)
    except Exception as error:  # what is served does not depend on it
        with suppress(OSError):
            os.remove(os.path.join(served.root, MODEL))
        warnings.warn(f"{served.root}/{MODEL} does not lead to what is served: {error}", stacklevel=3)


def leads_elsewhere(served: Served) -> bool:
    """Whether `model` leads elsewhere than to what is served, or to nothing, and this user may mend that.

    False where there is none: of a release of before, or for a disk without room. Raises OSError.
    """
    link = os.path.join(served.root, MODEL)
    if os.path.lexists(os.path.join(served.root, "lock")) or not os.access(served.root, os.W_OK):
        return False
    if not os.path.islink(link):
        return False
    state = state_of(served.adapted if served.state else None)
    return os.readlink(link).split("/")[-2:] != [served.digest, state] or not os.path.exists(link)


def sweep(served: Served) -> None:
    """States that nothing goes back to, and what writers that died left."""
    parent = os.path.join(served.root, "adapted", served.digest)
    before = os.path.join(served.root, "adapted", served.digest + ".before.safetensors")
    kept = {_INSTALLED, *(state_of(path) for path in (served.adapted, before) if os.path.isfile(path))}
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        with suppress(OSError):
            is_stale = name.endswith(".part") and time.time() - os.stat(path).st_mtime > _STALE_S
            if is_stale or (re.fullmatch("[0-9a-f]{16}", name) and name not in kept):
                shutil.rmtree(path, ignore_errors=True)


def state_of(learned: str | None) -> str:
    """The name of the state that a file of what was learned holds; None: nothing was."""
    return sha256(learned)[:16] if learned else _INSTALLED


def sync_folder(path: str) -> None:
    """Its names are on the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def copy_whole(path: str, new: str) -> None:
    """A copy that is on the disk before it has its name. Raises OSError, and then there is none."""
    aside = new + ".mine"
    try:
        shutil.copyfile(path, aside)
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, new)
    finally:
        with suppress(FileNotFoundError):
            os.remove(aside)


def _point(root: str, folder: str | None) -> None:
    link = os.path.join(root, MODEL)
    if folder is None:
        with suppress(FileNotFoundError):
            os.remove(link)
        return
    aside = os.path.join(root, "adapted", f"{MODEL}.mine")
    with suppress(FileNotFoundError):
        os.remove(aside)
    os.symlink(os.path.relpath(folder, root), aside)
    os.replace(aside, link)
    sync_folder(root)


def _share(path: str, new: str) -> None:
    """The same bytes under another name; a copy where the file system has no such thing."""
    try:
        os.link(path, new)
    except OSError:
        with open(path, "rb") as file:
            _write(new, file.read())


def _same(release: str, folder: str, name: str) -> bool:
    path, other = os.path.join(release, name), os.path.join(folder, name)
    with suppress(OSError):
        return os.path.samefile(path, other) or sha256(path) == sha256(other)
    return False


def _names(path: str, text: bytes) -> bool:
    with open(path, "rb") as file:
        return text in file.read()


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
