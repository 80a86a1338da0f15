"""`deploy devices`: none and many are both an answer, and so is a machine without adb."""

import pytest
from workplace import Workplace, one_object


def test_a_machine_without_adb_is_told_and_no_error(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")  # where no server is
    monkeypatch.setenv("PATH", "")
    done = place.deploy("devices", "--wait", "0.1", "--json")
    assert done.returncode == 0, done.stderr
    told = one_object(done.stdout)
    assert any("adb" in note for note in told["notes"])
    assert all(each["command"].startswith("deploy connect ") for each in told["boards"])


def test_one_line_a_board_or_one_that_says_what_else_to_do(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")
    monkeypatch.setenv("PATH", "")
    done = place.deploy("devices", "--wait", "0.1")
    assert done.returncode == 0, done.stderr
    assert "deploy connect" in done.stdout
