"""How far learning has come, in a file: what was cut off goes on there, and ends as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from .tensors import read_arrays, write_arrays

# Seconds between two writings, and of the time the share that they may take.
_EVERY_S, _SHARE = 5.0, 0.05
# More is not kept: a board's flash wears, and its disk is small.
_MOST_BYTES = 2**26
_SUFFIX = ".safetensors"
# The array that holds what is told, as JSON, a byte a value in the type of all others.
_TOLD = "told"
# Of a spec: where files lie, and how long it may take, change nothing of what is learned.
_NO_MATTER = ("release", "adapted", "support", "seconds", "memory_bytes")

Kept = tuple[dict[str, Any], "dict[str, np.ndarray]"]


def unfinished_beside(adapted: str) -> str:
    """Of the learning that writes to that file, in the folder that goes with its release."""
    folder = adapted.removesuffix(_SUFFIX) if adapted.endswith(_SUFFIX) else adapted + ".state"
    return os.path.join(folder, "unfinished" + _SUFFIX)


def key_of(digest: str, spec: Mapping[str, Any], steps: int, support: Mapping[str, np.ndarray]) -> str:
    """What names a learning: the release, how it is asked to learn, and the examples."""
    asked = {name: value for name, value in spec.items() if name not in _NO_MATTER}
    state = hashlib.sha256(json.dumps([digest, steps, asked], sort_keys=True).encode())
    for name in sorted(support):
        array = support[name]
        state.update(f"{name} {array.dtype} {array.shape}".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


class Checkpoint:
    """Of the learning of that key; without a path, none is kept."""

    def __init__(self, path: str | None = None, key: str = "") -> None:
        self._path, self._key = path, key
        self._due_s = time.monotonic() + _EVERY_S

    def read(self) -> Kept | None:
        """What was told, and arrays; None where nothing of this learning was kept, or it is damaged."""
        if self._path is None:
            return None
        try:
            arrays = read_arrays(self._path)
            told = json.loads(bytes(arrays.pop(_TOLD).astype(np.uint8)))
            return (told, arrays) if told.pop("key") == self._key else None
        except Exception:  # the file may hold anything, and learning begins anew as well
            return None

    def is_due(self) -> bool:
        """Whether it is time to keep what was reached."""
        return self._path is not None and time.monotonic() >= self._due_s

    def keep(self, told: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write that; what cannot be written is left out."""
        began = time.monotonic()
        if self._path is not None and sum(array.nbytes for array in arrays.values()) <= _MOST_BYTES:
            text = json.dumps({**told, "key": self._key}).encode()
            with suppress(OSError):  # a full disk
                os.makedirs(os.path.dirname(self._path), exist_ok=True)
                write_arrays(self._path, {_TOLD: np.frombuffer(text, np.uint8).astype(np.float32), **arrays})
        now = time.monotonic()
        self._due_s = now + max(_EVERY_S, (now - began) / _SHARE)

    def drop(self) -> None:
        """Once learning has ended, however it did."""
        if self._path is not None:
            with suppress(OSError):
                os.remove(self._path)
