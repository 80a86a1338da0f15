"""What was learned on top of a release: appears by one rename, and can be undone.

`DIGEST.before.safetensors` is the state before the last learning, a file with the word `installed` for none. As a state
is replaced, the one of before has a third name for a moment: wherever that ends, whoever is next settles it. That is
`own` for an application, and `next` for a deployer, as long as it lets the board learn (`devices/releases/learned.py`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress

import numpy as np

from .errors import EdgeRuntimeError
from .generations import prune, record
from .plain import copy_whole, lead_to, sync_folder, write_plain
from .profiles import INSTALLED, folder_of, is_installed
from .profiles import settle as settle_profiles
from .served import Served, closed, look, state_of_release
from .tensors import write_arrays


def learning(root: str) -> AbstractContextManager[None]:
    """Only one application on a board learns at a time; others wait. Raises EdgeRuntimeError."""
    return _alone(os.path.join(root, "adapted"))


def changing(root: str) -> AbstractContextManager[None]:
    """Only one on a board changes what is served, for moments. Raises EdgeRuntimeError."""
    return _alone(root)


@contextmanager
def _alone(path: str) -> Iterator[None]:
    try:
        folder = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise closed(path, error) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def require_writable(served: Served) -> None:
    """Before minutes of learning. Raises EdgeRuntimeError."""
    adapted = os.path.dirname(served.adapted)
    states = os.path.join(adapted, served.digest)
    there = [folder for folder in (states, folder_of(served)) if os.path.isdir(folder)]
    for folder in (adapted, served.root, *there):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise closed(folder, PermissionError(13, "Permission denied"))


def keep(served: Served, learned: Mapping[str, np.ndarray] | str | None) -> None:
    """Serve these values from now on, or those of that file, None: as installed; what was served can be gone back to.

    Raises before anything has changed, or not at all:
    EdgeRuntimeError where another release is served by now, OSError where the disk is full.
    """
    settle_profiles(served)
    replace(served, learned)


def replace(served: Served, learned: Mapping[str, np.ndarray] | str | None) -> None:
    """As `keep`, of a switch between profiles that is under way."""
    own, before, aside = _beside(served, "own"), _beside(served, "before"), served.adapted + ".mine"
    _settle(served)
    try:
        record(served)  # a deployer of before numbered nothing
        if isinstance(learned, str):
            shutil.copyfile(learned, aside)
        elif learned is not None:
            write_arrays(aside, dict(learned))
        write_plain(served, aside if learned is not None else None)
        appear(own, served.adapted if os.path.isfile(served.adapted) else None)
        if look(served.root).digest != served.digest:
            os.remove(own)
            raise EdgeRuntimeError(
                "another release was activated meanwhile",
                where=served.root,
                next="Do it once more: on top of that.",
            )
        if learned is not None:
            with open(aside, "rb") as file:
                os.fsync(file.fileno())
            os.replace(aside, served.adapted)
        else:
            with suppress(FileNotFoundError):
                os.remove(served.adapted)
    except BaseException:
        with suppress(OSError):
            os.remove(aside)
        raise
    with suppress(OSError):  # whoever is next settles it
        _settle(served)
        sync_folder(os.path.dirname(served.adapted))
    with suppress(OSError):
        record(served)
        prune(served, before)
    lead_to(state_of_release(served.root, served.digest))


def undo(served: Served) -> bool:
    """Serve what was served before the last learning; whether that, too, was learned. Raises EdgeRuntimeError."""
    before = _beside(served, "before")
    try:
        settle_profiles(served)
        _settle(served)
        with suppress(OSError):  # a full disk
            record(served)
        if not os.path.isfile(before):
            raise EdgeRuntimeError(
                f"there is nothing to undo on top of release {served.digest[:12]}",
                where=served.root,
                next="model.info() says what is served.",
            )
        was_installed = is_installed(before)
        if was_installed:
            with suppress(FileNotFoundError):
                os.remove(served.adapted)
            os.remove(before)
        else:
            os.replace(before, served.adapted)
            with suppress(OSError):
                record(served)
        sync_folder(os.path.dirname(served.adapted))
    except OSError as error:
        raise closed(served.adapted, error) from None
    lead_to(state_of_release(served.root, served.digest))
    return not was_installed


def appear(path: str, copied: str | None) -> None:
    """A copy, or the word for none, whole before it has its name. Raises OSError."""
    if copied:
        copy_whole(copied, path)
        return
    aside = path + ".mine"
    with open(aside, "wb") as file:
        file.write(INSTALLED)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def _settle(served: Served) -> None:
    """What was kept as a learning began is the state of before, if something else is served now."""
    # A deployer that is at work has its own still to settle.
    names = ["own"] if os.path.lexists(os.path.join(served.root, "lock")) else ["own", "next"]
    for following in [_beside(served, name) for name in names]:
        if not os.path.isfile(following):
            continue
        if is_installed(following):
            same = not os.path.isfile(served.adapted)
        else:
            same = os.path.isfile(served.adapted) and _bytes(following) == _bytes(served.adapted)
        if same:
            os.remove(following)
        else:
            os.replace(following, _beside(served, "before"))


def _beside(served: Served, name: str) -> str:
    return os.path.join(served.root, "adapted", f"{served.digest}.{name}.safetensors")


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
