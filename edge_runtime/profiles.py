"""Several users or sites on one release: what each taught the board is kept apart, and that of one is served.

`adapted/DIGEST/profiles/NAME.safetensors` is what a profile served as another was switched to (the word `installed`: as
installed), `active` the name of the one whose learning is served, `next` that of one that is being switched to.
Whoever learns settles first a switch that was cut. `switching` does one, and so does the host
(`toolkit/devices/releases/profiles.py`).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from .plain import sync_folder
from .served import Served

FOLDER, SUFFIX, ACTIVE, NEXT = "profiles", ".safetensors", "active", "next"
INSTALLED = b"installed\n"
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
        for each in os.listdir(folder_of(served)):
            name = each[: -len(SUFFIX)]
            if each.endswith(SUFFIX) and is_name(name):
                found.add(name)
    return sorted(found)


def settle(served: Served) -> None:
    """Before anything is learned: a switch that was cut is over, one way or the other. Raises OSError."""
    following = _text(served, NEXT)
    if is_name(following) and _serves(served, following):
        name_active(served)
    elif os.path.lexists(path_of(served, NEXT)):
        os.remove(path_of(served, NEXT))


def is_installed(path: str) -> bool:
    """Whether that file of a state has the word for none. Raises OSError."""
    with open(path, "rb") as file:
        return file.read().strip() == INSTALLED.strip()


def name_active(served: Served) -> None:
    """The switch is done: nothing of the other one is left to go back to, and the next one is named. Raises OSError."""
    for name in ("own", "before", "next"):
        with suppress(FileNotFoundError):
            os.remove(os.path.join(served.root, "adapted", f"{served.digest}.{name}{SUFFIX}"))
    sync_folder(os.path.join(served.root, "adapted"))
    os.replace(path_of(served, NEXT), path_of(served, ACTIVE))
    sync_folder(folder_of(served))


def write_text(served: Served, name: str, text: str) -> None:
    """Whole before it has its name. Raises OSError."""
    aside = path_of(served, name + ".mine")
    with open(aside, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path_of(served, name))
    sync_folder(folder_of(served))


def path_of(served: Served, name: str) -> str:
    """Of one of these files."""
    return os.path.join(folder_of(served), name)


def folder_of(served: Served) -> str:
    """Where they lie."""
    return os.path.join(served.root, "adapted", served.digest, FOLDER)


def _serves(served: Served, name: str) -> bool:
    """Whether what is served is what that profile served last."""
    path = path_of(served, name + SUFFIX)
    try:
        if is_installed(path):
            return not os.path.isfile(served.adapted)
        with open(path, "rb") as kept, open(served.adapted, "rb") as serving:
            return kept.read() == serving.read()
    except OSError:
        return False


def _text(served: Served, name: str) -> str:
    try:
        with open(path_of(served, name), encoding="ascii", errors="replace") as file:
            return file.read(100).strip()
    except OSError:
        return ""
