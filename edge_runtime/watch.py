"""Whether what a board serves may have changed: asked at every call of a model, so by inotify, not by a look at files.

A network leaves little in the processor's caches: after one, to ask for two paths takes six times as long as this does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import termios
from contextlib import suppress
from functools import lru_cache
from typing import Any

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

    To end one takes the system milliseconds. Where there is no inotify anything may have changed at any time.
    """

    def __init__(self, root: str) -> None:
        self._root, self._forks, self._fd = root, _forks, -1
        with suppress(OSError, ImportError, AttributeError):  # a small Python, another system, no more of them for us
            self._fd = _opened([root, root + "/adapted"])

    def changed(self) -> bool:
        """Also in a child process, which shares it with its parent."""
        if self._fd < 0 or self._forks != _forks:
            return True
        try:  # how many bytes of events wait to be read: unlike a `select.poll` object, threads may ask at once
            return fcntl.ioctl(self._fd, termios.FIONREAD, _NOTHING) != _NOTHING
        except OSError:  # a daemon closes whatever is open
            return True

    def again(self) -> Watch:
        """From now on; itself, where there is no inotify."""
        return self if self._fd < 0 else Watch(self._root)

    def __del__(self) -> None:
        # A child may have closed it, and opened something else by that number.
        if self._fd >= 0 and self._forks == _forks:
            with suppress(OSError):
                os.close(self._fd)


@lru_cache(maxsize=1)
def _libc() -> Any:
    import ctypes  # a small Python may lack it

    return ctypes.CDLL(None, use_errno=True), ctypes.get_errno


def _opened(folders: list[str]) -> int:
    """Raises OSError where one cannot be watched; but for the first, one may be missing: it appears in that."""
    libc, get_errno = _libc()
    fd = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if fd < 0:
        raise OSError(get_errno(), "inotify")
    for folder in folders:
        if libc.inotify_add_watch(fd, os.fsencode(folder), _CHANGES) < 0:
            reason = get_errno()
            if folder == folders[0] or reason not in (errno.ENOENT, errno.ENOTDIR):
                os.close(fd)
                raise OSError(reason, "inotify", folder)
    return fd
