"""Several users or sites on one release: what each taught the board is kept apart, and that of one is served.

`adapted/DIGEST/profiles/NAME.safetensors` is what a profile served as another was switched to (the word `installed`: as
installed), `active` the name of the one whose learning is served, `next` that of one that is being switched to.
Whoever learns need know nothing of it. The host switches, too (`toolkit/devices/releases/profiles.py`).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from .errors import EdgeRuntimeError
from .learned import appear, is_installed, keep
from .plain import sync_folder
from .served import Served, closed, state_of_release

FOLDER, SUFFIX, ACTIVE, NEXT = "profiles", ".safetensors", "active", "next"
DEFAULT = "default"  # who learns before anybody was named
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
NAMES_ARE = "Give letters, digits, - and _, 64 at most, a letter or digit first."


def is_name(name: object) -> bool:
    """Whether a profile may be called so."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def active(served: Served) -> str:
    """Whose learning is served; a switch that a power cut ended counts if it was done but for its name."""
    following = _text(served, NEXT)
    if is_name(following) and _serves(served, following):
        return following
    name = _text(served, ACTIVE)
    return name if is_name(name) else DEFAULT


def profiles(served: Served) -> list[str]:
    """All of them, by name: the active one, too."""
    found = {active(served)}
    with suppress(OSError):
        for each in os.listdir(_folder(served)):
            name = each[: -len(SUFFIX)]
            if each.endswith(SUFFIX) and is_name(name):
                found.add(name)
    return sorted(found)


def settle(served: Served) -> None:
    """Before anything is learned: a switch that was ended is over, one way or the other. Raises OSError."""
    following = _text(served, NEXT)
    if not following:
        return
    if is_name(following) and _serves(served, following):
        _end(served)
    else:
        os.remove(_path(served, NEXT))


def switch(served: Served, name: str) -> bool:
    """Serve what that profile served last, a new one the release as installed; whether it is another one.

    There is nothing to undo afterwards: that would be another one's. Raises EdgeRuntimeError, OSError.
    """
    settle(served)
    leaving = active(served)
    if name == leaving:
        return False
    os.makedirs(_folder(served), exist_ok=True)
    appear(_path(served, leaving + SUFFIX), served.adapted if os.path.isfile(served.adapted) else None)
    wanted = _path(served, name + SUFFIX)
    if not os.path.isfile(wanted):
        appear(wanted, None)
    _write(served, NEXT, name)
    try:
        keep(served, None if is_installed(wanted) else wanted)
    except BaseException:
        with suppress(OSError):
            settle(state_of_release(served.root, served.digest))
        raise
    _end(served)
    return True


def remove(served: Served, name: str) -> None:
    """Forget what a profile that is not served has learned. Raises EdgeRuntimeError."""
    try:
        settle(served)
        if name == active(served):
            raise EdgeRuntimeError(f"profile {name} is served", where=served.root, next="Switch to another one first.")
        os.remove(_path(served, name + SUFFIX))
    except FileNotFoundError:
        raise EdgeRuntimeError(
            f"there is no profile {name!r}: there is {', '.join(profiles(served))}",
            where=served.root,
            next="model.profiles() lists them.",
        ) from None
    except OSError as error:
        raise closed(_folder(served), error) from None


def _end(served: Served) -> None:
    # A deployer that is at work has its own still to settle.
    names = ["own", "before"] if os.path.lexists(os.path.join(served.root, "lock")) else ["own", "before", "next"]
    for name in names:
        with suppress(FileNotFoundError):
            os.remove(os.path.join(served.root, "adapted", f"{served.digest}.{name}{SUFFIX}"))
    os.replace(_path(served, NEXT), _path(served, ACTIVE))
    sync_folder(_folder(served))


def _serves(served: Served, name: str) -> bool:
    """Whether what is served is what that profile served last."""
    path = _path(served, name + SUFFIX)
    try:
        if is_installed(path):
            return not os.path.isfile(served.adapted)
        with open(path, "rb") as kept, open(served.adapted, "rb") as serving:
            return kept.read() == serving.read()
    except OSError:
        return False


def _text(served: Served, name: str) -> str:
    try:
        with open(_path(served, name), encoding="ascii", errors="replace") as file:
            return file.read(100).strip()
    except OSError:
        return ""


def _write(served: Served, name: str, text: str) -> None:
    aside = _path(served, name + ".mine")
    with open(aside, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, _path(served, name))
    sync_folder(_folder(served))


def _path(served: Served, name: str) -> str:
    return os.path.join(_folder(served), name)


def _folder(served: Served) -> str:
    return os.path.join(served.root, "adapted", served.digest, FOLDER)
