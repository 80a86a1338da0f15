"""Ctrl-C and SIGTERM end a run, wherever they come: also in a library's destructor, which Python cannot leave."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

# Long enough that the destructor that swallowed it has returned, too short for a user to notice.
_AGAIN_S = 0.02


class Terminated(BaseException):
    """This process was asked to end: a board that it holds is let go as for Ctrl-C. Nobody catches it on the way."""


_NUMBERS = {KeyboardInterrupt: signal.SIGINT, Terminated: signal.SIGTERM}


def heed_signals() -> Callable[["sys.UnraisableHookArgs"], Any]:
    """From now on SIGTERM raises Terminated, and a signal whose exception nobody could catch comes again.

    One Ctrl-C of twelve fell into a callback of torch's weak references: Python prints such an exception and goes on.
    Returns the `sys.unraisablehook` of before.
    """
    before = sys.unraisablehook
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _come_again
    return before


def go_unheard() -> None:
    """What destructors say while the process ends of a signal is no news."""
    sys.unraisablehook = _drop_interrupts


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # some senders send two: the second must not cut the tidying up short
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
