"""A connection to a target's board with our folder on it, for as long as it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.devices.connect import connect
from toolkit.devices.home import Home, open_home
from toolkit.devices.releases.lock import locked
from toolkit.targets import Target


@contextmanager
def visit(target: Target) -> Iterator[Home]:
    """To look at it: nobody is kept out. Raises BoardError."""
    device = connect(target)
    try:
        yield open_home(device, target)
    finally:
        device.close()


@contextmanager
def hold(target: Target) -> Iterator[Home]:
    """To measure or change it: nobody else does meanwhile. Raises BoardError, which names who holds it."""
    with visit(target) as home, locked(home) as ours:
        yield ours
