"""The search keeps every limit, finds what is known to be best, and never asks twice."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.choices import by_size, curve, ranks
from tests.compression.test_allocators import Problem, problems
from toolkit.choice import Selection
from toolkit.compression import Cost, CostTable, Limits, allocate_exact, allocate_search
from toolkit.compression.allocation import fits
from toolkit.errors import BudgetError

# Eight layers of five choices; what a layer is worth, and how soon it has enough, is nothing that its gain curve says.
_RANKS = (8, 16, 24, 32)
_WORTH = {"a": 0.30, "b": 0.02, "c": 0.20, "d": 0.01, "e": 0.15, "f": 0.05, "g": 0.02, "h": 0.10}
_ROW = by_size({None: Cost(1.0, 64), **{size: Cost(size / 40, 2 * size) for size in _RANKS}})
_COSTS = CostTable(dict.fromkeys(_WORTH, _ROW), 0, 0)
_GAINS = {layer: curve(layer, dict.fromkeys(_RANKS, 1.0), 1.0) for layer in _WORTH}
_LIMITS = Limits(latency_ms=4.0)


def _accuracy(chosen: Selection) -> float:
    return 0.15 + sum(_WORTH[layer] * ((choice.size or 40) / 40) ** 0.5 for layer, choice in chosen.items())


def _search(episodes: int = 200, seed: int = 0) -> tuple[Selection, list[str]]:
    asked: list[str] = []

    def accuracy(chosen: Selection) -> float:
        asked.append(chosen.key)
        return _accuracy(chosen)

    found = allocate_search(
        _GAINS, _COSTS, _LIMITS, accuracy=accuracy, seed=seed, on_progress=lambda *_: None, episodes=episodes
    )
    return found.selection, asked


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_comes_close_to_the_best_there_is(seed: int) -> None:
    true = {
        layer: curve(layer, {size: worth * (size / 40) ** 0.5 for size in _RANKS}, worth)
        for layer, worth in _WORTH.items()
    }
    best = _accuracy(allocate_exact(true, _COSTS, _LIMITS).selection)
    average = _accuracy(ranks(dict.fromkeys(_WORTH, 16)))  # the same for all, within the limit: 3.2 of 4 ms
    found, _ = _search(seed=seed)
    assert _accuracy(found) > best - 0.2 * (best - average)


def test_it_gets_better_the_longer_it_looks() -> None:
    found = [_accuracy(_search(episodes)[0]) for episodes in (20, 60, 200)]
    assert found == sorted(found)
    assert found[-1] > found[0]


def test_no_model_is_judged_twice_and_a_seed_gives_the_same_again() -> None:
    found, asked = _search()
    assert len(set(asked)) == len(asked) <= 200
    assert _search()[0] == found


@settings(max_examples=40, deadline=None)
@given(problem=problems(), seed=st.integers(0, 3))
def test_every_model_that_is_tried_keeps_every_limit(problem: Problem, seed: int) -> None:
    gains, costs, limits = problem
    tried = []

    def accuracy(chosen: Selection) -> float:
        tried.append(chosen)
        return float(len(tried) % 3)

    with suppress(BudgetError):
        found = allocate_search(
            gains, costs, limits, accuracy=accuracy, seed=seed, on_progress=lambda *_: None, episodes=10
        )
        assert found.selection in tried
    assert all(fits(chosen, costs, limits) for chosen in tried)


def test_what_nothing_fits_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(BudgetError, match="no allocation meets the latency budget"):
        allocate_search(
            _GAINS, _COSTS, Limits(latency_ms=0.1), accuracy=lambda _: pytest.fail("tried"), seed=0, on_progress=print
        )
