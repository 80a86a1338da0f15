"""What a watcher sees while stages run: a live bar in a terminal, lines elsewhere."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from toolkit.cli.interrupts import Heeding
from toolkit.progress import Progress

_EVERY_S = 10.0


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """A bar where the console is a terminal; in a log, a line at least every ten seconds."""
    if console.is_terminal:
        bar = Bar(console)
        with bar.bars:
            yield Heeding(bar)
        return
    lines = Lines(console)
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(_EVERY_S / 10):
            lines.remind()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield Heeding(lines)
    finally:
        ended.set()
        thread.join()


class Bar:
    """One live line for the running stage, one for each that ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stderr=False,
        )
        self._task = self.bars.add_task("", total=None, count="", visible=False)

    def start(self, stage: str) -> None:
        """See `toolkit.progress.Progress`."""
        self.bars.reset(self._task, description=stage, total=None, count="", visible=True)

    def advance(self, done: int, total: int) -> None:
        """See `toolkit.progress.Progress`."""
        self.bars.update(self._task, completed=done, total=total, count=f"{done}/{total}")

    def note(self, text: str) -> None:
        """See `toolkit.progress.Progress`."""
        _note(self._console, text)

    def end(self, stage: str, seconds: float, cached: bool) -> None:
        """See `toolkit.progress.Progress`."""
        self.bars.update(self._task, visible=False)
        _end(self._console, stage, seconds, cached)


class Lines:
    """A line for each stage as it begins and as it ends; `remind` says how far it is where nothing was said for long.

    `clock` tells seconds. Safe to call from two threads.
    """

    def __init__(
        self, console: Console, every_s: float = _EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._every_s, self._clock = console, every_s, clock
        self._lock = threading.Lock()
        self._stage: str | None = None
        self._count = ""
        self._began_s = self._said_s = clock()

    def start(self, stage: str) -> None:
        """See `toolkit.progress.Progress`."""
        with self._said():
            self._stage, self._count, self._began_s = stage, "", self._clock()
            self._console.print(f"· {stage}")

    def advance(self, done: int, total: int) -> None:
        """See `toolkit.progress.Progress`."""
        self._count = f" {done} of {total}"

    def note(self, text: str) -> None:
        """See `toolkit.progress.Progress`."""
        with self._said():
            _note(self._console, text)

    def end(self, stage: str, seconds: float, cached: bool) -> None:
        """See `toolkit.progress.Progress`."""
        with self._said():
            self._stage = None
            _end(self._console, stage, seconds, cached)

    def remind(self) -> None:
        """Say how far the stage is, if nothing was said for `every_s` seconds."""
        if self._stage is not None and self._clock() - self._said_s >= self._every_s:
            with self._said():
                self._console.print(f"  {self._stage}:{self._count} after {self._clock() - self._began_s:.0f} s")

    @contextmanager
    def _said(self) -> Iterator[None]:
        with self._lock:
            yield
            self._said_s = self._clock()


def _note(console: Console, text: str) -> None:
    console.print(f"  [dim]{escape(text)}[/]", soft_wrap=not console.is_terminal)


def _end(console: Console, stage: str, seconds: float, cached: bool) -> None:
    console.print(f"[green]✓[/] {stage:<10} {seconds:6.1f} s{'  [dim]from cache[/]' if cached else ''}")
