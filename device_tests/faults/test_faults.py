"""A few of each fault over each transport; `benchmarks/faults.py` injects hundreds."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from device_tests.conftest import unavailable
from device_tests.faults.bundles import make_base, make_variant
from device_tests.faults.deployer import MOMENTS
from device_tests.faults.inject import deploy, inject
from device_tests.faults.rig import Rig, open_rig
from toolkit import lab
from toolkit.devices.releases.health import read_status
from toolkit.devices.releases.release import rollback

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]

CASES = [
    ("ssh", "power", "sending"),
    ("ssh", "power", "installed"),
    ("ssh", "power", "activated"),
    ("ssh", "connection", "sending"),
    ("ssh", "disk full", "locked"),
    ("ssh", "flipped bit", "sent"),
    ("adb", "power", "sent"),
    ("adb", "deployer", "verified"),
    ("adb", "flipped bit", "installed"),
    ("serial", "power", "activated"),
    ("serial", "connection", "sending"),
]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("faults")
    try:
        with open_rig(folder) as opened:
            yield opened
    except lab.BoardUnavailable as error:
        unavailable(error)


@pytest.fixture(scope="module")
def base(rig: Rig) -> Path:
    """A first release in service, sent by SSH as the runner would take minutes over the console."""
    base = rig.folder / "base"
    make_base(base)
    deployer = deploy(rig, "ssh", base)
    said = deployer.communicate(timeout=600)
    assert deployer.returncode == 0, said
    assert said[0].split() == list(MOMENTS)
    return base


@pytest.mark.parametrize(("transport", "fault", "moment"), CASES)
def test_the_board_serves_the_old_or_the_new_release_and_takes_the_next(
    rig: Rig, base: Path, transport: str, fault: str, moment: str
) -> None:
    outcome = inject(rig, base, transport, fault, moment, seed=CASES.index((transport, fault, moment)))
    assert not outcome.torn, asdict(outcome)
    assert outcome.repaired_itself, asdict(outcome)
    # These end the deployer, or the board under it; from the others it may recover and go on.
    if fault in ("power", "deployer") and MOMENTS.index(moment) < MOMENTS.index("activated"):
        assert outcome.serves == "old", asdict(outcome)
    with rig.look() as home:
        assert len(read_status(home).available) <= 3


def test_a_board_whose_clock_is_in_1970_takes_a_release(rig: Rig, base: Path) -> None:
    bundle = rig.folder / "bundles" / "in 1970"
    digest = make_variant(base, bundle, 1000)
    with rig.look() as home:
        home.device.run("date -s '1970-01-01 00:01:00'")
    try:
        deployer = deploy(rig, "ssh", bundle)
        said = deployer.communicate(timeout=600)
        assert deployer.returncode == 0, said
        with rig.look() as home:
            found = read_status(home)
            assert (found.current, found.healthy) == (digest, True)
            assert rollback(home)[1] != digest
    finally:
        with rig.look() as home:
            home.device.run(f"date -s @{int(time.time())}")
