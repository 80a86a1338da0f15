"""Ctrl-C and SIGTERM end a run, wherever they come: also where a library drops the exception that they raise."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from toolkit.progress import Progress

# Long enough that the destructor that swallowed it has returned, too short for a user to notice.
_AGAIN_S = 0.02


class Terminated(BaseException):
    """This process was asked to end: a board that it holds is let go as for Ctrl-C. Nobody catches it on the way."""


_NUMBERS = {KeyboardInterrupt: signal.SIGINT, Terminated: signal.SIGTERM}
# What came: a run that makes progress all the same has lost the exception on the way.
_came: list[type[BaseException]] = []


@contextmanager
def heeding_signals() -> Iterator[None]:
    """Inside, SIGTERM raises Terminated, and a signal whose exception nobody could catch comes again.

    One Ctrl-C of twelve fell into a callback of torch's weak references: Python prints such an exception and goes on.
    Afterwards all is as before, unless `go_unheard` was called: what is left of this process then says no more.
    """
    hook, handlers = sys.unraisablehook, {each: signal.getsignal(each) for each in _NUMBERS.values()}
    _came.clear()
    signal.signal(signal.SIGTERM, _terminate)
    if handlers[signal.SIGINT] is signal.default_int_handler:  # not of a run that nobody is to interrupt
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _come_again
    try:
        yield
    finally:
        _came.clear()
        if sys.unraisablehook is not _drop_interrupts:
            sys.unraisablehook = hook
            for number, handler in handlers.items():
                signal.signal(number, handler)


def go_unheard() -> None:
    """What destructors say while the process ends of a signal is no news."""
    sys.unraisablehook = _drop_interrupts


class Heeding:
    """Progress that ends here where a signal came and a library has dropped its exception.

    On a busy machine one Ctrl-C of twenty, pressed as a model was about to be copied, came in a bare `except:` of
    `copyreg`'s.
    """

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

    def start(self, stage: str) -> None:
        """See `toolkit.progress.Progress`."""
        _raise_what_came()
        self._shown.start(stage)

    def advance(self, done: int, total: int) -> None:
        """See `toolkit.progress.Progress`."""
        _raise_what_came()
        self._shown.advance(done, total)

    def note(self, text: str) -> None:
        """See `toolkit.progress.Progress`."""
        self._shown.note(text)  # also said while a run is tidied up

    def end(self, stage: str, seconds: float, cached: bool) -> None:
        """See `toolkit.progress.Progress`."""
        _raise_what_came()
        self._shown.end(stage, seconds, cached)


def _raise_what_came() -> None:
    if _came:
        raise _came[0]


def _interrupt(number: int, frame: FrameType | None) -> None:
    _came.append(KeyboardInterrupt)
    raise KeyboardInterrupt


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # some senders send two: the second must not cut the tidying up short
    _came.append(Terminated)
    raise Terminated


def _come_again(raised: "sys.UnraisableHookArgs") -> None:
    number = _NUMBERS.get(raised.exc_type)
    if number is None:
        sys.__unraisablehook__(raised)
        return
    if number == signal.SIGTERM:
        signal.signal(number, _terminate)
    # Raised here, it would be swallowed as well. The main thread gets it, wherever that waits.
    timer = threading.Timer(_AGAIN_S, signal.pthread_kill, [threading.main_thread().ident, number])
    timer.daemon = True
    timer.start()


def _drop_interrupts(raised: "sys.UnraisableHookArgs") -> None:
    if raised.exc_type not in _NUMBERS:
        sys.__unraisablehook__(raised)
