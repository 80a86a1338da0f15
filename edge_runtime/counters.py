"""How often and how fast a model was called, for `deploy top`: counts and times, nothing of what went in or came out.

A file a model, `counters/PID.NUMBER` in our folder, mapped into memory: lines of a name and a number of twenty digits,
which `cat` shows and a power cut leaves as they were before. Times are counted by size, in four classes to a doubling.
"""

from __future__ import annotations

import itertools
import math
import mmap
import os
import threading
import time
import warnings
from contextlib import suppress

import numpy as np

FOLDER = "counters"
FIRST = "edge_runtime counters 1"
CLASSES, SHORTEST_US, TO_A_DOUBLING = 84, 16, 4
_DIGITS, _NINE = 20, ord("9")
_DAY_S = 86_400
# After a network that is larger than the processor's cache, NumPy takes a tenth of a millisecond: one call of so many.
_OF_SO_MANY = 16
_NUMBERS = itertools.count()


class Counters:
    """Of one model and one release. In a folder that cannot be written nothing is, which is warned of."""

    def __init__(self, root: str, release: str, accepted: np.ndarray | None) -> None:
        """`accepted` are logits (N, classes) that the release was accepted by: how sure it was then."""
        names = ["calls", "refused", "sure_calls", "sure_ppm", "accepted_sure_ppm", "longest_us", *_NAMES]
        self._ends: dict[str, int] = {}
        self._classifies = accepted is not None
        self._calls, self._longest_us = 0, 0
        self._lock = threading.Lock()
        self._file: mmap.mmap | None = None
        values = dict.fromkeys(names, 0)
        if accepted is not None:
            values["accepted_sure_ppm"] = int(sum(map(_sure_ppm, accepted)) / max(1, len(accepted)))
        text = f"{FIRST}\npid {os.getpid()}\nrelease {release}\nsince_s {int(time.time())}\n".encode()
        for name, value in values.items():
            text += b"%s %0*d\n" % (name.encode(), _DIGITS, value)
            self._ends[name] = len(text) - 1
        try:
            self._path, self._file = _mapped(os.path.join(root, FOLDER), text)
        except OSError as error:
            warnings.warn(f"calls are not counted for `deploy top`: {error}", stacklevel=2)

    def called(self, seconds: float, logits: np.ndarray) -> None:
        """One inference took so long, and gave these."""
        us = max(1, int(seconds * 1e6))
        with self._lock:
            if self._file is None:
                return
            if self._classifies and self._calls % _OF_SO_MANY == 0:
                self._add("sure_ppm", _sure_ppm(logits))
                self._count("sure_calls")
            self._calls += 1
            self._count("calls")
            self._count(_NAMES[class_of(us)])
            if us > self._longest_us:
                self._add("longest_us", us - self._longest_us)
                self._longest_us = us

    def refused(self) -> None:
        """One call that did not fit."""
        with self._lock:
            if self._file is not None:
                self._count("refused")

    def close(self) -> None:
        """Another release is counted from now on."""
        with self._lock:
            if self._file is not None:
                self._file = None
                with suppress(OSError):
                    os.remove(self._path)

    def _count(self, name: str) -> None:
        last = self._ends[name] - 1
        if (digit := self._file[last]) != _NINE:  # type: ignore[index]  # nine times of ten: a call takes microseconds
            self._file[last] = digit + 1  # type: ignore[index]
        else:
            self._add(name, 1)

    def _add(self, name: str, more: int) -> None:
        end = self._ends[name]
        value = int(self._file[end - _DIGITS : end]) + more  # type: ignore[index]
        self._file[end - _DIGITS : end] = b"%0*d" % (_DIGITS, value)  # type: ignore[index]


def class_of(us: int) -> int:
    """The class of times that one belongs to; the first holds all that are shorter, the last all that are longer."""
    if us <= SHORTEST_US:
        return 0
    return min(CLASSES - 1, 1 + int(TO_A_DOUBLING * math.log2(us / SHORTEST_US)))


def class_name(index: int) -> str:
    """The line that it has."""
    return f"times_{index:02}"


_NAMES = [class_name(index) for index in range(CLASSES)]


def _sure_ppm(logits: np.ndarray) -> int:
    """What softmax gives the class that it gives most, in millionths."""
    values = logits.reshape(-1)
    sure = 1e6 / float(np.exp(values - values.max()).sum())
    return int(sure) if math.isfinite(sure) else 0


def _mapped(folder: str, text: bytes) -> tuple[str, mmap.mmap]:
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        _sweep(os.path.join(folder, name), name)
    path = os.path.join(folder, f"{os.getpid()}.{next(_NUMBERS)}")
    with open(path + ".part", "wb") as file:
        file.write(text)
    os.replace(path + ".part", path)
    with open(path, "r+b") as file:
        return path, mmap.mmap(file.fileno(), len(text))


def _sweep(path: str, name: str) -> None:
    """What a process of some days ago left goes."""
    with suppress(OSError, ValueError):
        if time.time() - os.stat(path).st_mtime > _DAY_S and not os.path.exists(f"/proc/{int(name.partition('.')[0])}"):
            os.remove(path)
