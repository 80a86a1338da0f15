"""One deployer at a time: the living keep the board, the dead lose it, and who lost it can do no harm."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workplace import CHECKOUT, Workplace, bundle, local_home

from toolkit.devices import Home
from toolkit.devices.releases import lock, release
from toolkit.devices.releases.lock import holder, locked, parse_holder, unlock
from toolkit.errors import BoardError

_HOLD = """
import sys, time
from toolkit.devices.home import Home
from toolkit.devices.local import LocalDevice
from toolkit.devices.releases.lock import locked
with locked(Home(LocalDevice(), "desk", sys.argv[1], "any")):
    print("held", flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def ours(place: Workplace) -> Home:
    return local_home(place)


@contextmanager
def another_deployer(place: Workplace) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the board until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(place.root)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("lease", [b"", b"\n\n", b"\0\0\0"])
def test_a_lock_whose_lease_went_with_the_power_is_taken_over(ours: Home, place: Workplace, lease: bytes) -> None:
    with another_deployer(place) as other:
        other.kill()
        other.wait()
    Path(ours.at("lease")).write_bytes(lease)  # its size was on the disk before its bytes were
    with locked(ours):
        found = holder(ours)
        assert found is not None
        assert found.pid == os.getpid()


def test_what_is_no_link_at_all_is_a_dead_lock(ours: Home) -> None:
    Path(ours.at("lock")).touch()
    with locked(ours):
        assert holder(ours) is not None
    assert holder(ours) is None


def test_a_lock_is_taken_and_given_back(ours: Home) -> None:
    with locked(ours):
        found = holder(ours)
        assert found is not None
        assert (found.pid, found.is_dead) == (os.getpid(), False)
    assert holder(ours) is None
    assert [path.name for path in Path(ours.root).iterdir() if path.name.startswith("l")] == []


def test_a_board_that_is_held_says_by_whom(ours: Home, place: Workplace) -> None:
    with another_deployer(place) as other:
        words = rf"at work on it, in .*: .*@.* \(process {other.pid}\) for \d+ s"
        with pytest.raises(BoardError, match=words) as caught:
            locked(ours).__enter__()
        assert "deploy unlock --target desk" in str(caught.value.next)
        found = holder(ours)
        assert found is not None
        assert not found.is_dead


def test_what_a_killed_deployer_held_is_taken_over(ours: Home, place: Workplace) -> None:
    with another_deployer(place) as other:
        (place.root / "work" / "of the dead").touch()
        other.send_signal(signal.SIGKILL)
        other.wait()
    found = holder(ours)
    assert found is not None
    assert found.is_dead
    with locked(ours):
        assert place.left_behind() == []
        now = holder(ours)
        assert now is not None
        assert now.pid == os.getpid()


def test_who_lost_the_lock_can_no_longer_activate(ours: Home, place: Workplace, tmp_path: Path) -> None:
    made, digest = bundle(tmp_path / "one")
    with locked(ours) as mine:
        release.install(mine, made)
        lost = unlock(ours)
        assert lost is not None
        with another_deployer(place), pytest.raises(BoardError, match="its lock was taken away"):
            release.activate(mine, digest)
    assert place.releases()["current"] is None


def test_giving_back_does_not_take_anothers_lock(ours: Home, place: Workplace) -> None:
    with locked(ours):
        unlock(ours)
        other = another_deployer(place)
        process = other.__enter__()
    found = holder(ours)
    assert found is not None
    assert found.pid == process.pid
    process.kill()
    other.__exit__(None, None, None)


def test_a_connection_that_broke_does_not_lock_its_own_process_out(ours: Home) -> None:
    with locked(ours):
        text = Path(ours.at("lock")).readlink()
    Path(ours.at("lock")).symlink_to(text)  # as if giving it back had not reached the board
    with locked(ours):
        pass


def test_of_many_that_start_at_once_one_wins(ours: Home, place: Workplace) -> None:
    script = _HOLD.replace("time.sleep(1000)", "time.sleep(3)")
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(place.root)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = [racer.communicate(timeout=500) for racer in racers]
    winners = [out for out, _ in said if out == "held\n"]
    losers = [error for _, error in said if "is at work on it" in error or "was faster" in error]
    # A racer that starts after the first has ended wins too.
    assert len(winners) + len(losers) == 4
    assert winners
    assert holder(ours) is None


def test_the_lease_decides_about_a_deployer_on_another_machine() -> None:
    def seen(*, boot: str = "b", uptime_s: int = 100, lease: str = "b 90 3990") -> lock.Holder:
        return parse_holder("t|ann|elsewhere/1|7|55|b|90", boot=boot, uptime_s=uptime_s, lease=lease)

    assert not seen().is_dead
    assert seen().age_s == 10
    assert seen(uptime_s=3991).is_dead
    assert seen(boot="c").is_dead
    assert seen(boot="c").age_s is None
    assert seen(lease="-").is_dead
    assert str(seen()) == "ann@elsewhere/1 (process 7) for 10 s"


@given(st.text(), st.text(), st.integers(), st.text())
def test_any_text_is_a_holder(text: str, boot: str, uptime_s: int, lease: str) -> None:
    assert str(parse_holder(text, boot=boot, uptime_s=uptime_s, lease=lease))


def test_a_lock_of_nobodys_making_is_dead(ours: Home) -> None:
    Path(ours.at("lock")).symlink_to("what is this")
    with locked(ours):
        assert str(Path(ours.at("lock")).readlink()) != "what is this"
