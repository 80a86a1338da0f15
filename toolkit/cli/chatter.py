"""What other libraries say goes to a log: a user sees our lines, and whoever looks for a fault sees all."""

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from toolkit.cli.console import stderr
from toolkit.cli.interrupts import Terminated
from toolkit.cli.progress import progress_on
from toolkit.progress import Progress
from toolkit.quiet import SAID

# What a log is called in the folder of its run.
LOG = "log.txt"
_STDERR = 2
# What the user's own factories say is theirs to see.
_HEARD = "load"


@contextmanager
def our_progress(log: Path) -> Iterator[Progress]:
    """Progress on stderr, to which nobody else writes meanwhile but the user's own factories.

    Whatever else is written there, by this process or its children, in Python or not, is in `log` afterwards, with what
    exporters were kept from saying. What is printed on stdout goes the same ways: stdout is for the result alone. An
    error that passes through here is preceded by a line that names the log. A log of nothing, or of a run that was
    interrupted, is removed.
    """
    handler = logging.FileHandler(log, encoding="utf-8")
    level = SAID.level
    SAID.addHandler(handler)
    SAID.setLevel(logging.DEBUG)
    try:
        with _split(log) as (console, progress), redirect_stdout(sys.stderr):
            try:
                yield progress
            except (KeyboardInterrupt, Terminated):
                log.unlink(missing_ok=True)
                raise
            except BaseException:
                sys.stderr.flush()
                if log.exists() and log.stat().st_size:
                    console.print(f"What other programs said is in {escape(str(log))}.", soft_wrap=True)
                raise
    finally:
        SAID.setLevel(level)
        SAID.removeHandler(handler)
        handler.close()
        if log.exists() and not log.stat().st_size:
            log.unlink()


@contextmanager
def _split(log: Path) -> Iterator[tuple[Console, Progress]]:
    """Our stderr, and the others' in that file."""
    if not _is_real_stderr():  # a test's, or another program's that runs the command line in its own process
        with progress_on(stderr()) as progress:
            yield stderr(), progress
        return
    ours = os.dup(_STDERR)
    with (
        os.fdopen(ours, "w", encoding=sys.stderr.encoding, errors="backslashreplace") as stream,
        log.open("ab") as theirs,
    ):
        console = stderr(stream)
        try:
            with progress_on(console) as progress:
                yield console, _Hushed(progress, ours, theirs.fileno())
        finally:
            _redirect(ours)


@dataclass(frozen=True)
class _Hushed:
    """Progress that hands on; stderr is `theirs` in every stage but the one in which the user's factories run."""

    shown: Progress
    ours: int
    theirs: int

    def start(self, stage: str) -> None:
        _redirect(self.ours if stage == _HEARD else self.theirs)
        self.shown.start(stage)

    def advance(self, done: int, total: int) -> None:
        self.shown.advance(done, total)

    def note(self, text: str) -> None:
        self.shown.note(text)

    def end(self, stage: str, seconds: float, cached: bool) -> None:
        self.shown.end(stage, seconds, cached)


def _redirect(to: int) -> None:
    sys.stderr.flush()
    os.dup2(to, _STDERR)


def _is_real_stderr() -> bool:
    try:
        return sys.stderr is sys.__stderr__ is not None and sys.__stderr__.fileno() == _STDERR
    except (AttributeError, OSError, io.UnsupportedOperation):
        return False
