"""What an application writes down of what happened is what `deploy logs` reads."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_runtime import journal
from toolkit.devices.journal import Entry, parse_entry


def entries(root: Path) -> list[Entry]:
    found = [parse_entry(line) for line in (root / "journal").read_text().splitlines()]
    assert None not in found
    return [each for each in found if each]


def test_a_line_says_when_what_and_by_whom(tmp_path: Path) -> None:
    before = int(time.time())
    journal.note(str(tmp_path), "learned", release="0" * 64, reason='it "gained"\n', loss_after=float("nan"))
    [entry] = entries(tmp_path)
    assert before <= entry.at_s <= time.time()
    assert (entry.event, entry.release) == ("learned", "0" * 64)
    assert entry.by.startswith("application ")
    assert entry.details == {"reason": 'it "gained"\n', "loss_after": None}


def test_it_stays_small_and_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_BYTES", 2_000)
    monkeypatch.setattr(journal, "KEPT_LINES", 5)
    for number in range(100):
        journal.note(str(tmp_path), "learned", number=number)
    found = entries(tmp_path)
    assert [each.details["number"] for each in found[-5:]] == [95, 96, 97, 98, 99]
    assert (tmp_path / "journal").stat().st_size <= 2_100
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_several_write_whole_lines(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        for number in range(200):
            threads.submit(journal.note, str(tmp_path), "learned", number=number, why="x" * 300)
    assert sorted(each.details["number"] for each in entries(tmp_path)) == list(range(200))


def test_what_cannot_be_written_is_left(tmp_path: Path) -> None:
    journal.note(str(tmp_path / "nowhere"), "learned")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "line", ["", '{"at_s": 17', "[]", "7", '{"at_s": "x", "event": "learned"}', '{"at_s": 1}', "\x00\x00"]
)
def test_what_is_no_entry_is_none(line: str) -> None:
    assert parse_entry(line) is None
