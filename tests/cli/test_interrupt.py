"""Ctrl-C at any stage: exit code 130, the board serves what it served, and the next run goes on from there."""

import os
import re
import shutil
import signal

import pytest
from workplace import RUN, Workplace, make_workplace

STAGES = ("load", "probe", "profile", "allocate", "compress", "export", "install", "verify", "adapt", "report")


@pytest.fixture(scope="module")
def shared(deployed_place: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """One working folder: each interrupted run goes on where the one before was cut. The board was profiled before."""
    made = make_workplace(tmp_path_factory.mktemp("place"))
    shutil.copytree(deployed_place.cache / "profiles", made.cache / "profiles")
    return made


QUICKLY = ("probe", "profile", "install", "adapt")  # the others in `make test-all`: each starts a process


@pytest.mark.parametrize(
    "stage", [each if each in QUICKLY else pytest.param(each, marks=pytest.mark.slow) for each in STAGES]
)
def test_interrupted(shared: Workplace, stage: str) -> None:
    exit_code, said = shared.interrupt(stage, *RUN)
    assert exit_code == 130, said
    assert "\nInterrupted. The board serves what it served before" in said, said
    assert "; run the same command again to go on." in said, said
    assert "Traceback" not in said, said
    assert f"✓ {stage} " not in said, said
    assert shared.left_behind() == []
    found = shared.releases()
    assert found["previous"] is None
    assert found["current"] in (None, *found["available"])
    if STAGES.index(stage) <= STAGES.index("verify"):
        assert found["current"] is None
    if STAGES.index(stage) < STAGES.index("install"):
        assert found["available"] == []
    assert not list(shared.cache.glob("*/.building-*"))
    assert not list((shared.folder / "runs").glob("*/result.json"))


def test_a_process_that_is_asked_to_end_lets_go_of_the_board(shared: Workplace) -> None:
    exit_code, said = shared.interrupt("load", *RUN, by=signal.SIGTERM)
    assert exit_code == 143, said
    assert "\nInterrupted. The board serves what it served before" in said, said
    assert "Traceback" not in said, said
    assert not os.path.lexists(shared.root / "lock")
    assert not list((shared.folder / "runs").iterdir())


def test_the_next_run_resumes_what_was_finished(shared: Workplace) -> None:
    done = shared.deploy(*RUN)
    assert done.returncode == 0, done.stderr
    if "measured again" in done.stderr:
        pytest.skip("MACHINE TOO BUSY when it was first measured: what it took then was not believed")
    cached = re.findall(r"✓ (\w+) .*from cache", done.stderr)
    assert cached == ["profile", "allocate", "compress", "export", "install"]
    assert shared.releases()["current"] is not None
