"""What an application writes down of what happened is what `deploy logs` reads."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_runtime import journal
from toolkit.devices.journal import Entry, parse_entry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of ours."""
    (tmp_path / "edge-deploy-folder").touch()
    return tmp_path


def entries(root: Path) -> list[Entry]:
    """Of both files, the oldest first."""
    there = [root / name for name in ("journal.before", "journal") if (root / name).exists()]
    lines = [line for file in there for line in file.read_text().splitlines()]
    return [entry for line in lines if (entry := parse_entry(line))]


def test_an_entry_says_when_what_and_by_whom(root: Path) -> None:
    before = int(time.time())
    journal.note(str(root), "learned", release="0" * 64, reason='it "gained"\n', loss_after=float("nan"))
    [entry] = entries(root)
    assert before <= entry.at_s <= time.time()
    assert (entry.event, entry.release) == ("learned", "0" * 64)
    assert entry.by.startswith("application ")
    assert entry.details == {"reason": 'it "gained"\n', "loss_after": None}


def test_it_stays_small_and_keeps_the_newest(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_BYTES", 2_000)
    for number in range(100):
        journal.note(str(root), "learned", number=number)
    numbers = [each.details["number"] for each in entries(root)]
    assert numbers == list(range(numbers[0], 100))
    assert 20 < len(numbers) < 60
    assert {path.name for path in root.iterdir()} <= {"edge-deploy-folder", "journal", "journal.before"}


def test_several_write_whole_entries_while_it_is_full(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_BYTES", 60_000)
    with ThreadPoolExecutor(8) as threads:
        for number in range(200):
            threads.submit(journal.note, str(root), "learned", number=number, why="x" * 300)
    assert sorted(each.details["number"] for each in entries(root)) == list(range(200))


def test_an_entry_after_half_a_one_is_whole(root: Path) -> None:
    journal.note(str(root), "learned", number=1)
    file = root / "journal"
    file.write_bytes(file.read_bytes()[:-5])
    journal.note(str(root), "learned", number=2)
    assert [each.details["number"] for each in entries(root)] == [2]


def test_a_folder_that_is_nobodys_stays_empty(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        journal.note(str(folder), "learned")
    assert list(tmp_path.iterdir()) == []


def test_nothing_outside_is_written_and_nothing_waited_for(root: Path) -> None:
    outside = root.parent / f"{root.name} outside"
    outside.write_text("mine")
    (root / "journal").symlink_to(outside)
    journal.note(str(root), "learned")
    assert outside.read_text() == "mine"
    (root / "journal").unlink()
    os.mkfifo(root / "journal")
    journal.note(str(root), "learned")


@pytest.mark.parametrize(
    "line",
    [
        *("", '{"at_s": 17', "[]", "7", '{"at_s": "x", "event": "learned"}', '{"at_s": 1}', "\x00\x00", "[" * 100_000),
        *('{"at_s": 1e9, "event": "x"}', '{"at_s": 99999999999999, "event": "x"}', '{"at_s": -1, "event": "x"}'),
    ],
)
def test_what_is_no_entry_is_none(line: str) -> None:
    assert parse_entry(line) is None
