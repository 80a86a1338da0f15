"""Tests on a board: `pytest device_tests --target NAME`, by default the emulated one. They skip loudly without it."""

from collections.abc import Iterator

import pytest

from toolkit.devices import Home, locked, open_home
from toolkit.targets import Target
from toolkit.testing.board import unavailable

__all__ = ["unavailable"]


@pytest.fixture(scope="session")
def ours(target: Target, device: Home) -> Iterator[Home]:
    """A folder on the board for what makes a mess: held by us alone, and gone afterwards."""
    messy = target.model_copy(update={"root": f"{target.root}-tests-mess"})
    with locked(open_home(device.device, messy)) as held:
        yield held
    device.device.run(f"rm -rf '{held.root}'", timeout_s=120)
