"""Programs that not every machine has: a test that needs one skips in a sentence, or fails where all were promised."""

import os
import shutil
from typing import NoReturn

import pytest

from toolkit.testing.options import REQUIRE


def absent(why: str) -> NoReturn:
    """Skip, or fail with EDGE_DEPLOY_REQUIRE_BOARD=1: `NO ADB: boards over adb are NOT tested; apt-get install adb`."""
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


def need(program: str, package: str, untested: str) -> None:
    """Go on only where that program is installed."""
    if shutil.which(program) is None:
        absent(f"NO {program.upper()}: {untested} NOT tested; apt-get install {package}")
