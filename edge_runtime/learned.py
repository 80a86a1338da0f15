"""What was learned on top of a release: appears by one rename, and can be undone.

`DIGEST.before.safetensors` is the state before the last learning, a file with the word `installed` for none.
`DIGEST.next.safetensors` is that state while a learner works: wherever it ends, whoever is next settles it. So does the
host, from its side (`toolkit/devices/releases/learned.py`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import numpy as np

from .errors import EdgeRuntimeError
from .plain import lead_to
from .served import Served, state_of_release
from .tensors import write_arrays

_INSTALLED = b"installed\n"


@contextmanager
def alone(served: Served) -> Iterator[None]:
    """Only one application on a board learns or undoes at a time; others wait."""
    folder = os.open(os.path.dirname(served.adapted), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def keep(served: Served, values: Mapping[str, np.ndarray]) -> None:
    """Serve these from now on; what was served can be gone back to. Raises OSError, and then nothing has changed."""
    before, following = _beside(served, "before"), _beside(served, "next")
    _settle(served)
    aside = served.adapted + ".mine"
    write_arrays(aside, dict(values))
    _appear(following, served.adapted if os.path.isfile(served.adapted) else None)
    os.replace(aside, served.adapted)
    os.replace(following, before)
    _sync(served)
    lead_to(state_of_release(served.root, served.digest))


def undo(served: Served) -> bool:
    """Serve what was served before the last learning; whether that, too, was learned. Raises EdgeRuntimeError."""
    _settle(served)
    before = _beside(served, "before")
    if not os.path.isfile(before):
        raise EdgeRuntimeError(
            f"there is nothing to undo on top of release {served.digest[:12]}",
            where=served.root,
            next="model.info() says what is served.",
        )
    was_installed = _is_installed(before)
    if was_installed:
        with suppress(FileNotFoundError):
            os.remove(served.adapted)
        os.remove(before)
    else:
        os.replace(before, served.adapted)
    _sync(served)
    lead_to(state_of_release(served.root, served.digest))
    return not was_installed


def _settle(served: Served) -> None:
    """What was kept as a learning began is the state of before, if something else is served now."""
    following = _beside(served, "next")
    if not os.path.isfile(following):
        return
    if _is_installed(following):
        same = not os.path.isfile(served.adapted)
    else:
        same = os.path.isfile(served.adapted) and _bytes(following) == _bytes(served.adapted)
    if same:
        os.remove(following)
    else:
        os.replace(following, _beside(served, "before"))


def _appear(path: str, copied: str | None) -> None:
    """A copy, or the word for none, whole before it has its name."""
    aside = path + ".mine"
    if copied:
        shutil.copyfile(copied, aside)
    else:
        with open(aside, "wb") as file:
            file.write(_INSTALLED)
    with open(aside, "rb") as file:
        os.fsync(file.fileno())
    os.replace(aside, path)


def _beside(served: Served, name: str) -> str:
    return os.path.join(served.root, "adapted", f"{served.digest}.{name}.safetensors")


def _is_installed(path: str) -> bool:
    return _bytes(path).strip() == _INSTALLED.strip()


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _sync(served: Served) -> None:
    folder = os.open(os.path.dirname(served.adapted), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
