"""Numbers are kept one by one, whatever ends the process that finds them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit
from toolkit.kept import keep, open_kept


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_DEPLOY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def found(names: str) -> list[str]:
    """Which of those had to be found."""
    searched: list[str] = []

    def find(name: str) -> float:
        searched.append(name)
        return len(searched) / 3

    kept = open_kept("kind", "key")
    for name in names:
        keep(kept, name, lambda name=name: find(name))  # type: ignore[misc]
    return searched


def test_what_was_found_is_not_sought_again() -> None:
    assert found("abca") == ["a", "b", "c"]
    assert found("abcd") == ["d"]
    assert open_kept("kind", "key").known["a"] == 1 / 3
    assert open_kept("kind", "another").known == {}


@pytest.mark.parametrize("torn", ['["c", 0.', "\xff", "[1]", "7", '["c", "much"]', '["c", null]\n'])
def test_a_torn_line_is_found_again_and_spoils_no_other(cache: Path, torn: str) -> None:
    found("ab")
    file = open_kept("kind", "key").file
    with file.open("ab") as lines:
        lines.write(torn.encode("latin-1"))
    assert found("abc") == ["c"]
    assert found("abc") == []


SCRIPT = """
from toolkit.kept import keep, open_kept
kept = open_kept("kind", "key")
for index in range(10**6):
    keep(kept, str(index), lambda: print(index, flush=True) or index / 2)
"""


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_costs_at_most_the_number_being_found(by: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(toolkit.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout
    with process:
        begun = 0
        for line in process.stdout:
            begun = int(line)
            if begun == 20:
                process.send_signal(by)
    known = open_kept("kind", "key").known
    assert begun >= 20
    assert all(known[str(index)] == index / 2 for index in range(begun))
