"""What tests of several rooms share."""

import os
from collections.abc import Iterator

import pytest

from toolkit import lab
from toolkit.targets import Target, load_target


@pytest.fixture(scope="session")
def emulated_pi() -> Iterator[Target]:
    """The emulated board, booted; one that ran before the tests is used and left running.

    Skips where this machine cannot build or run it, unless EDGE_DEPLOY_REQUIRE_BOARD=1.
    """
    name = "emulated-pi"
    was_running = lab.status(name) is not None
    try:
        lab.up(name, on_step=lambda _: None)
    except lab.BoardUnavailable as error:
        if os.environ.get("EDGE_DEPLOY_REQUIRE_BOARD") == "1":
            raise
        pytest.skip(f"no emulated board: {error.what}. {error.next or ''}".strip())
    yield load_target(name)
    if not was_running:
        lab.down(name)
