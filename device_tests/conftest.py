"""Tests on a board: `pytest device_tests --target NAME`, by default the emulated one. They skip loudly without it."""

import os
from collections.abc import Iterator

import pytest

from toolkit import lab
from toolkit.devices import Home, connect, locked, open_home
from toolkit.errors import BoardError
from toolkit.targets import Target, load_target


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--target", default="emulated-pi", help="board to test on; `deploy targets` lists them")


def unavailable(why: BoardError) -> None:
    """Skip, or fail where a board was promised."""
    if os.environ.get("EDGE_DEPLOY_REQUIRE_BOARD") == "1":
        raise why
    pytest.skip(f"NO BOARD: {why.what}. {why.next or ''}".strip())


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The board's target; an emulated one is booted if it is off, and then switched off at the end."""
    found = load_target(request.config.getoption("--target"))
    started = False
    if found.lab:
        started = lab.status(found.name) is None
        try:
            lab.up(found.name, on_step=lambda _: None)
        except lab.BoardUnavailable as error:
            unavailable(error)
    yield found
    if started:
        lab.down(found.name)


@pytest.fixture(scope="session")
def ours(target: Target) -> Iterator[Home]:
    """A folder of the tests' own on the board, held by us alone and gone afterwards: what it serves is left alone."""
    try:
        device = connect(target)
    except BoardError as error:
        unavailable(error)
        raise
    home = open_home(device, target.model_copy(update={"root": f"{target.root}-tests"}))
    with locked(home) as held:
        yield held
    device.run(f"rm -rf '{home.root}'", timeout_s=120)
    device.close()
