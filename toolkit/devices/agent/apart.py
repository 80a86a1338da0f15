"""A process for each program, forked from one that has imported the runtime already: a start costs seconds on a board.

Its peak memory is that of a process which did everything itself. Pages of programs and libraries that the import read
are not in a fork until they are used again, so those are counted on top.
"""

import os
import sys
from collections.abc import Callable

import numpy as np

from .facts import peak_bytes

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PRESENT = np.uint64(1 << 63)  # Linux, Documentation/admin-guide/mm/pagemap.rst


def apart(work: "Callable[[Callable[[], int | None]], None]") -> None:
    """Call `work(peak)` in a process of its own and wait; `peak()` there is the peak of a whole process, in bytes.

    If it raises, what it raised goes on in that process, and this one ends with its status once it has ended.
    """
    before = _mapped_pages()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        work(lambda: _whole_peak(before))
        sys.stdout.flush()
        os._exit(0)
    _, ended = os.waitpid(child, 0)
    if ended != 0:
        sys.exit(128 + os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else os.WEXITSTATUS(ended))


def _whole_peak(before: np.ndarray) -> "int | None":
    peak = peak_bytes()
    return None if peak is None else peak + _PAGE * len(np.setdiff1d(before, _mapped_pages()))


def _mapped_pages() -> np.ndarray:
    """Numbers of the pages of files that this process has in memory."""
    pages = [np.empty(0, np.int64)]
    with open("/proc/self/maps", encoding="utf-8") as maps, open("/proc/self/pagemap", "rb", 0) as pagemap:
        for line in maps:
            span, *_, name = line.split(None, 5)
            if not name.startswith("/"):
                continue
            first, end = (int(address, 16) // _PAGE for address in span.split("-"))
            pagemap.seek(8 * first)
            entries = np.frombuffer(pagemap.read(8 * (end - first)), np.uint64)
            pages.append(first + np.flatnonzero(entries & _PRESENT))
    return np.concatenate(pages)
