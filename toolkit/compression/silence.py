"""Keep what a C library prints out of what this program says on stdout."""

import contextlib
import ctypes
import os
from collections.abc import Iterator


@contextlib.contextmanager
def silent_stdout() -> Iterator[None]:
    """Nothing that is written to file descriptor 1 inside arrives anywhere."""
    libc = ctypes.CDLL(None)
    try:
        kept = os.dup(1)
    except OSError:  # closed: nothing can arrive there
        yield
        return
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        libc.fflush(None)
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            libc.fflush(None)  # C holds lines back where stdout is no terminal
            os.dup2(kept, 1)
            os.close(kept)
