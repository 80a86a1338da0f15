"""Every run has a folder of its own, also in the same second, and none remains of a run without results."""

from pathlib import Path

import pytest

from toolkit.cli.runs import run_folder
from toolkit.errors import BadInput


def test_runs_of_one_second_do_not_share_a_folder(tmp_path: Path) -> None:
    folders = []
    for _ in range(3):
        with run_folder(tmp_path / "runs", "desk") as folder:
            (folder / "result.json").touch()
        folders.append(folder)
    assert len(set(folders)) == 3
    assert sorted(tmp_path.glob("runs/*-desk*")) == sorted(folders)


def test_nothing_remains_of_a_run_that_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), run_folder(tmp_path, "desk"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_it_is_said_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot receive results"), run_folder(tmp_path / "file" / "runs", "desk"):
        pytest.fail("began")
