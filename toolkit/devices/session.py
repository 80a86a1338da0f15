"""A connection to a target's board for as long as it is needed: to look at our folder there, or to make and hold it."""

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.devices.connect import connect
from toolkit.devices.device import Device
from toolkit.devices.home import Home, find_home, open_home
from toolkit.devices.releases.lock import locked
from toolkit.errors import BoardError
from toolkit.targets import Target


@contextmanager
def connected(target: Target) -> Iterator[Device]:
    """The board, closed at the end. Raises BoardError."""
    device = connect(target)
    try:
        yield device
    finally:
        device.close()


@contextmanager
def visit(target: Target) -> Iterator[Home | None]:
    """To look: nobody is kept out, nothing is made. None: nothing was ever deployed there. Raises BoardError."""
    with connected(target) as device:
        yield find_home(device, target)


@contextmanager
def hold(target: Target) -> Iterator[Home]:
    """To measure or change it: nobody else does meanwhile. Raises BoardError, which names who holds it."""
    with connected(target) as device, locked(open_home(device, target)) as home:
        yield home


@contextmanager
def visit_deployed(target: Target) -> Iterator[Home]:
    """To look where something was deployed before. Raises BoardError."""
    with connected(target) as device:
        yield _deployed(device, target)


@contextmanager
def hold_deployed(target: Target) -> Iterator[Home]:
    """To measure or change it where something was deployed before: nothing is made elsewhere. Raises BoardError."""
    with connected(target) as device:
        _deployed(device, target)
        with locked(open_home(device, target)) as home:
            yield home


def _deployed(device: Device, target: Target) -> Home:
    home = find_home(device, target)
    if home is None:
        raise BoardError(
            "nothing was ever deployed to this board",
            where=target.name,
            next=f"Deploy first: `deploy --target {target.name}`.",
        )
    return home
