"""Every state that was learned on top of a release and taken, by number: the newest few, to go back to.

The host numbers what it has a board learn in the same folder (`toolkit/devices/releases/generations.py`).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass

from .errors import EdgeRuntimeError
from .plain import copy_whole, state_of
from .served import Served, closed

FOLDER, KEPT = "generations", 8
FILE = re.compile(r"(\d{1,9})-([0-9a-f]{16})\.safetensors")


@dataclass(frozen=True)
class Generation:
    """`state` begins the SHA-256 of its file; `learned_s` is when it was taken, in seconds since 1970.

    Number 0 is the release as it was installed.
    """

    number: int
    state: str
    bytes: int
    learned_s: int | None
    serves: bool


def record(served: Served) -> None:
    """Give what is served a number, unless it has one. Raises OSError where the disk is full."""
    if not os.path.isfile(served.adapted):
        return
    there, state = _there(served), state_of(served.adapted)
    if state in [of for _, of, _ in there]:
        return
    number = max((each for each, _, _ in there), default=0) + 1
    os.makedirs(_folder(served), exist_ok=True)
    path = os.path.join(_folder(served), f"{number}-{state}.safetensors")
    try:
        os.link(served.adapted, path)
    except OSError:  # a file system without a second name for a file
        copy_whole(served.adapted, path)


def prune(served: Served, before: str) -> None:
    """Leave the newest few, and what is served or, by the file `before`, was before that."""
    there = _there(served)
    spared = {state_of(path) for path in (served.adapted, before) if os.path.isfile(path)}
    newest = max((number for number, _, _ in there), default=0)
    for number, state, name in there:
        if number <= newest - KEPT and state not in spared:
            with suppress(OSError):
                os.remove(os.path.join(_folder(served), name))


def generations(served: Served) -> list[Generation]:
    """The oldest first. Raises EdgeRuntimeError where that may not be read."""
    try:
        now = state_of(served.adapted)
    except FileNotFoundError:
        now = state_of(None)
    except OSError as error:
        raise closed(served.adapted, error) from None
    found = [Generation(0, state_of(None), 0, None, now == state_of(None))]
    for number, state, name in sorted(_there(served)):
        with suppress(OSError):  # it is old, and another application numbers one
            said = os.stat(os.path.join(_folder(served), name))
            found.append(Generation(number, state, said.st_size, int(said.st_mtime), state == now))
    return found


def file_of(served: Served, number: int) -> str:
    """Raises EdgeRuntimeError where there is none of that number, or it is damaged."""
    for each, state, name in _there(served):
        if each == number:
            path = os.path.join(_folder(served), name)
            with suppress(OSError):
                if state_of(path) == state:
                    return path
            raise EdgeRuntimeError(f"generation {number} is damaged", where=path, next="Go to another one.")
    numbers = ", ".join(str(each.number) for each in generations(served))
    raise EdgeRuntimeError(
        f"there is no generation {number} on top of release {served.digest[:12]}: there is {numbers}",
        where=served.root,
        next="model.generations() lists them.",
    )


def _there(served: Served) -> list[tuple[int, str, str]]:
    """Number, state, name."""
    try:
        names = os.listdir(_folder(served))
    except OSError:
        return []
    return [(int(match[1]), match[2], match[0]) for match in map(FILE.fullmatch, names) if match]


def _folder(served: Served) -> str:
    return os.path.join(served.root, "adapted", served.digest, FOLDER)
