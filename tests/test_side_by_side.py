"""What processes make is what this one would have made."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from toolkit.side_by_side import side_by_side

_CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def test_what_is_made_comes_in_order_and_from_other_processes() -> None:
    def make(index: int) -> tuple[int, int, float]:
        return index, os.getpid(), float(torch.full((300, 300), float(index)).sum())

    made = side_by_side(make, 9)
    assert [(index, total) for index, _, total in made] == [(index, index * 90_000.0) for index in range(9)]
    makers = {pid for _, pid, _ in made}
    assert len(makers) == min(_CORES, 9)
    assert (os.getpid() in makers) == (_CORES == 1)


def test_few_are_made_here() -> None:
    assert set(side_by_side(lambda _: os.getpid(), 3)) == {os.getpid()}
    assert side_by_side(lambda index: index, 0) == []


def test_an_error_is_raised_here() -> None:
    def make(index: int) -> int:
        if index == 5:
            raise ValueError(f"no {index}")
        return index

    with pytest.raises(ValueError, match="no 5"):
        side_by_side(make, 8)


def test_what_a_process_takes_with_it_is_made_here() -> None:
    here = os.getpid()

    def make(index: int) -> int:
        if index == 2 and os.getpid() != here:
            os._exit(1)
        return index

    assert side_by_side(make, 8) == list(range(8))


def test_what_cannot_be_sent_is_made_here() -> None:
    made = side_by_side(lambda index: threading.Lock() if index == 4 else index, 6)
    assert made[:4] + made[5:] == [0, 1, 2, 3, 5]


@pytest.mark.skipif(_CORES < 2, reason="one core: nothing is forked")
def test_a_process_that_is_killed_as_it_speaks_keeps_nobody_waiting() -> None:
    here = os.getpid()

    def make(index: int) -> bytes:
        if index == 0 and os.getpid() != here:
            threading.Timer(0.5, os._exit, [1]).start()  # by then it waits for somebody to read the rest
            return bytes(50_000_000)
        time.sleep(0.2 if os.getpid() != here else 0)
        return bytes(index)

    started = time.monotonic()
    made = side_by_side(make, 6)
    assert [len(each) for each in made] in ([50_000_000, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5])
    assert time.monotonic() - started < 60


@pytest.mark.skipif(_CORES < 2, reason="one core: nothing is forked")
def test_no_process_outlives_whoever_asked(tmp_path: Path) -> None:
    code = f"""
import os, time
from toolkit.side_by_side import side_by_side
def make(index):
    open({str(tmp_path)!r} + f"/{{os.getpid()}}", "w").close()
    time.sleep(0.1)
    return bytes(1_000_000)
side_by_side(make, 10_000)
"""
    asking = subprocess.Popen([sys.executable, "-c", code])
    patience = time.monotonic() + 120
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < patience:
        time.sleep(0.05)
    workers = [int(file.name) for file in tmp_path.iterdir()]
    asking.kill()
    asking.wait()
    while (alive := [each for each in workers if _runs(each)]) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not alive


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
    except OSError:
        return False


def test_without_processes_to_be_had_all_is_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    assert side_by_side(lambda index: index, 8) == list(range(8))
