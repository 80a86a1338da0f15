"""Whether what a board serves may have changed: asked at every call of a model, so by inotify, not by a look at files.

A network leaves little in the processor's caches: after one, to ask for two paths takes six times as long as this does.
"""

from __future__ import annotations

import fcntl
import os
import termios
from contextlib import suppress

# <sys/inotify.h>: whatever changes a name in a folder or what it leads to, or moves or ends the folder.
_CHANGES = 0x004 | 0x008 | 0x040 | 0x080 | 0x100 | 0x200 | 0x400 | 0x800
_NOTHING = bytes(4)
_forks = 0


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)


class Watch:
    """Of the folders that lead to what is served, from now on until something changes there: then it has done its work.

    Where there is no inotify anything may have changed at any time.
    """

    def __init__(self, root: str) -> None:
        self._forks, self._fd = _forks, -1
        with suppress(OSError, ImportError, AttributeError):  # a small Python, another system, no more of them for us
            self._fd = _opened([root, root + "/adapted"])

    def changed(self) -> bool:
        """Also in a child process, which shares it with its parent."""
        return self._fd < 0 or self._forks != _forks or self._heard() != _NOTHING

    def _heard(self) -> bytes:
        """How many bytes of events wait to be read: unlike a `select.poll` object, threads may ask at once."""
        return fcntl.ioctl(self._fd, termios.FIONREAD, _NOTHING)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _opened(folders: list[str]) -> int:
    """Raises OSError where not even the first can be watched; the others may appear, which changes the first."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    watched = [libc.inotify_add_watch(fd, os.fsencode(folder), _CHANGES) >= 0 for folder in folders]
    if not watched[0]:
        os.close(fd)
        raise OSError(ctypes.get_errno(), "inotify", folders[0])
    return fd
