"""From one profile to another, and away with one: see `profiles`. Called while nobody else learns."""

from __future__ import annotations

import os
from contextlib import suppress

from .errors import EdgeRuntimeError
from .learned import appear, replace
from .plain import lead_to, sync_folder
from .profiles import (
    NEXT,
    SUFFIX,
    active,
    folder_of,
    is_installed,
    name_active,
    path_of,
    profiles,
    settle,
    write_text,
)
from .served import Served, closed, state_of_release
from .tensors import read_arrays


def switch(served: Served, name: str) -> bool:
    """Serve what that profile served last, a new one the release as installed; whether it is another one.

    There is nothing to undo afterwards: that would be another one's. Raises EdgeRuntimeError, OSError.
    """
    if os.path.lexists(os.path.join(served.root, "lock")):
        raise EdgeRuntimeError(
            "a deployer is at work on this board, and may let it learn",
            where=served.root,
            next="Switch once it has ended; of one that is dead: deploy unlock --target NAME.",
        )
    settle(served)
    leaving = active(served)
    if name == leaving:
        lead_to(state_of_release(served.root, served.digest))  # a switch may have been cut before that
        return False
    os.makedirs(folder_of(served), exist_ok=True)
    sync_folder(os.path.dirname(folder_of(served)))
    wanted = path_of(served, name + SUFFIX)
    if not os.path.isfile(wanted):
        appear(wanted, None)
    _require_whole(served, wanted, name)
    appear(path_of(served, leaving + SUFFIX), served.adapted if os.path.isfile(served.adapted) else None)
    write_text(served, NEXT, name)
    try:
        replace(served, None if is_installed(wanted) else wanted)
    except BaseException:
        with suppress(OSError):
            if state_of_release(served.root, served.digest) == served:
                os.remove(path_of(served, NEXT))
            else:
                settle(served)
        raise
    name_active(served)
    return True


def remove(served: Served, name: str) -> None:
    """Forget what a profile that is not served has learned. Raises EdgeRuntimeError."""
    try:
        settle(served)
        if name == active(served):
            raise EdgeRuntimeError(f"profile {name} is served", where=served.root, next="Switch to another one first.")
        os.remove(path_of(served, name + SUFFIX))
        sync_folder(folder_of(served))
    except FileNotFoundError:
        raise EdgeRuntimeError(
            f"there is no profile {name!r}: there is {', '.join(profiles(served))}",
            where=served.root,
            next="model.profiles() lists them.",
        ) from None
    except OSError as error:
        raise closed(folder_of(served), error) from None


def _require_whole(served: Served, wanted: str, name: str) -> None:
    try:
        if not is_installed(wanted):
            read_arrays(wanted)
    except OSError:
        raise
    except Exception:  # a damaged file may hold anything
        raise EdgeRuntimeError(
            f"what was learned for {name} is damaged",
            where=wanted,
            next=f"model.remove_profile({name!r}) forgets it; then it begins as installed.",
        ) from None
