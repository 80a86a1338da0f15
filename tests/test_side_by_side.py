"""What processes make is what this one would have made."""

import os
import sys
import threading

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
