"""The board under test: powered on if it is emulated, held in a folder of the tests' own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from toolkit import lab
from toolkit.devices import Home, connect, locked, open_home
from toolkit.devices.releases.release import collect
from toolkit.errors import BoardError, DeployError
from toolkit.targets import LabPlace, Target, load_target
from toolkit.testing.options import board_required


def unavailable(why: BoardError) -> NoReturn:
    """Skip with a sentence, or fail where a board was promised."""
    if board_required():
        raise pytest.fail.Exception(f"NO BOARD, and one is required. {why}", pytrace=False) from None
    pytest.skip(f"NO BOARD: {why.sentence}. {why.next or ''}".strip())


@contextmanager
def sentences() -> Iterator[None]:
    """What a user can do something about fails the test in its own words, without a traceback."""
    try:
        yield
    except DeployError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@contextmanager
def powered(name: str | None) -> Iterator[Target]:
    """The target of that name; an emulated one is booted if it is off, and then switched off at the end."""
    if name is None:
        unavailable(
            BoardError("no target was chosen", next="Run pytest with --target NAME, or set edge_deploy_target.")
        )
    with sentences():
        target = load_target(name)
    started = False
    if isinstance(target.place, LabPlace):
        started = lab.status(name) is None
        try:
            lab.up(name, on_step=lambda _: None)
        except lab.BoardUnavailable as error:
            unavailable(error)
    yield target
    if started:
        lab.down(name)


@contextmanager
def held(target: Target) -> Iterator[Home]:
    """A folder beside the target's own, so that what the board serves is left alone; nobody else tests meanwhile.

    It stays, with the agent and the runtime in it: the next session sends only what is new.
    """
    try:
        device = connect(target)
    except BoardError as error:
        unavailable(error)
    try:
        with sentences(), locked(open_home(device, of_tests(target))) as home:
            yield home
            collect(home, target.keep_releases)
    finally:
        device.close()


def of_tests(target: Target) -> Target:
    """The target as tests see it: all releases of a session stay until its end."""
    return target.model_copy(update={"root": f"{target.root}-tests", "keep_releases": 1000})
