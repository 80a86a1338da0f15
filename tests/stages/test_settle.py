"""An allocation is settled on the board's word, not on a prediction's."""

from dataclasses import replace

import pytest

from tests.choices import by_size, curve
from toolkit.choice import Selection, all_dense, rank
from toolkit.compression import ALLOCATORS, Cost, CostTable, Limits, Pair
from toolkit.profiling import Measurement, WholeModel
from toolkit.stages.settle import settle

RANKS = tuple(range(8, 200, 8))
NAMES = [f"layer{index}" for index in range(8)]
COSTS = CostTable(
    dict.fromkeys(NAMES, by_size({None: Cost(2.1, 2100), **{size: Cost(size / 100, 10 * size) for size in RANKS}})),
    rest_latency_ms=1.0,
    rest_bytes=0,
)
GAINS = {name: curve(name, {rank: 1 - 0.5 ** (rank / 40) for rank in RANKS}, 1.0) for name in NAMES}


@pytest.mark.parametrize("truth_over_prediction", [0.8, 0.97, 1.0, 1.04, 1.25])
@pytest.mark.parametrize("budget_ms", [6.0, 9.0, 14.0])
def test_the_budget_is_held_and_used_however_wrong_the_prediction(
    truth_over_prediction: float, budget_ms: float
) -> None:
    asked: list[Selection] = []

    def time(chosen: Selection) -> WholeModel:
        asked.append(chosen)
        ms = COSTS.latency_ms(chosen) * truth_over_prediction
        return WholeModel(Measurement(median_ms=ms, p95_ms=ms, min_ms=ms, runs=9, warmups=1, load_ms=1.0), 1, 1)

    limits = Limits(latency_ms=budget_ms * 0.95)
    found = settle(ALLOCATORS["exact"], GAINS, COSTS, limits, budget_ms, "instructions", 1.01, time)
    assert found.timed is not None
    assert 0.93 * budget_ms <= found.timed.measurement.median_ms * 1.01 <= budget_ms
    assert len(asked) <= 4


def test_what_no_layer_counts_is_no_share_of_the_plan() -> None:
    """Each model takes 12 ms more than its layers: a budget of 16 ms is held, and used, all the same."""

    def time(chosen: Selection) -> WholeModel:
        ms = COSTS.latency_ms(chosen) + 12
        return WholeModel(Measurement(median_ms=ms, p95_ms=ms, min_ms=ms, runs=9, warmups=1, load_ms=1.0), 1, 1)

    limits = Limits(latency_ms=16 * 0.95)
    found = settle(ALLOCATORS["exact"], GAINS, COSTS, limits, 16.0, "instructions", 1.0, time)
    assert found.timed is not None
    assert 0.93 * 16 <= found.timed.measurement.median_ms <= 16


def test_where_nothing_holds_the_budget_the_fastest_of_what_was_timed_is_told() -> None:
    asked: list[float] = []

    def time(chosen: Selection) -> WholeModel:
        ms = COSTS.latency_ms(chosen) + 12
        asked.append(ms)
        return WholeModel(Measurement(median_ms=ms, p95_ms=ms, min_ms=ms, runs=9, warmups=1, load_ms=1.0), 1, 1)

    found = settle(ALLOCATORS["exact"], GAINS, COSTS, Limits(latency_ms=6.0), 6.0, "instructions", 1.0, time)
    assert found.timed is not None
    assert found.timed.measurement.median_ms == min(asked) > 6.0


def test_where_nothing_is_small_enough_the_smallest_of_what_was_timed_is_told() -> None:
    """All take as long: the fastest of them would be any."""
    asked: list[int] = []

    def time(chosen: Selection) -> WholeModel:
        asked.append(COSTS.size_bytes(chosen) + 5000)
        row = Measurement(median_ms=1, p95_ms=1, min_ms=1, runs=9, warmups=1, load_ms=1.0)
        return WholeModel(row, 1, asked[-1])

    found = settle(ALLOCATORS["exact"], GAINS, COSTS, Limits(size_bytes=9000), None, "wall", 1.1, time, 2000)
    assert found.timed is not None
    assert len(asked) > 1
    assert found.timed.size_bytes == min(asked)


def test_without_a_latency_budget_the_board_is_not_asked() -> None:
    found = settle(ALLOCATORS["exact"], GAINS, COSTS, Limits(), None, "wall", 1.1, lambda _: pytest.fail("asked"))
    assert found.allocation.selection == all_dense(NAMES)
    assert found.timed is None


@pytest.mark.parametrize("budget_ms", [None, 14.0])
@pytest.mark.parametrize("beyond", [0, 40, 900])
def test_what_is_larger_than_it_was_planned_is_chosen_smaller(beyond: int, budget_ms: float | None) -> None:
    def time(chosen: Selection) -> WholeModel:
        ms = COSTS.latency_ms(chosen)
        row = Measurement(median_ms=ms, p95_ms=ms, min_ms=ms, runs=9, warmups=1, load_ms=1.0)
        return WholeModel(row, 1, COSTS.size_bytes(chosen) + beyond)

    limits = Limits(latency_ms=None if budget_ms is None else 20.0, size_bytes=9000)
    found = settle(ALLOCATORS["exact"], GAINS, COSTS, limits, budget_ms, "instructions", 1.01, time, 9000)
    assert found.timed is not None
    assert 9000 - 2 * 10 * 8 <= found.timed.size_bytes <= 9000


def test_a_plan_that_holds_small_models_for_larger_than_they_are_finds_one_all_the_same() -> None:
    """The smallest is half as large as it was planned, the largest as planned: no shift of limits tells both."""
    smallest, largest = 10 * 8 * len(NAMES), 2100 * len(NAMES)

    def time(chosen: Selection) -> WholeModel:
        planned = COSTS.size_bytes(chosen)
        held = planned - smallest // 2 * (largest - planned) // (largest - smallest)
        return WholeModel(Measurement(median_ms=1, p95_ms=1, min_ms=1, runs=9, warmups=1, load_ms=1.0), 1, held)

    found = settle(ALLOCATORS["exact"], GAINS, COSTS, Limits(size_bytes=1200), None, "wall", 1.1, time, 500)
    assert found.timed is not None
    assert found.timed.size_bytes <= 500


def test_where_no_plan_is_small_enough_one_that_was_timed_before_may_be() -> None:
    def time(chosen: Selection) -> WholeModel:
        return of_bytes(COSTS.size_bytes(chosen) + 5000)

    def of_bytes(size: int) -> WholeModel:
        row = Measurement(median_ms=1, p95_ms=1, min_ms=1, runs=9, warmups=1, load_ms=1.0)
        return WholeModel(row, 1, size)

    known = [(Selection(dict.fromkeys(NAMES, rank(size))), of_bytes(held)) for size, held in ((8, 1), (16, 2), (24, 9))]
    found = settle(ALLOCATORS["exact"], GAINS, COSTS, Limits(size_bytes=9000), None, "wall", 1.1, time, 5, known)
    assert found.timed is not None
    assert found.timed.size_bytes == 2  # the largest gain of those that keep within 5
    assert found.allocation.selection == known[1][0]
    only = [(chosen, timed) for chosen, timed in known if timed.size_bytes == 1]
    found = settle(ALLOCATORS["exact"], GAINS, COSTS, Limits(size_bytes=9000), None, "wall", 1.1, time, 5, only)
    assert found.allocation.selection == only[0][0]
    costs = replace(COSTS, conflicts=(Pair((NAMES[0], NAMES[1]), frozenset([rank(8)]), frozenset([rank(8)])),))
    found = settle(ALLOCATORS["exact"], GAINS, costs, Limits(size_bytes=9000), None, "wall", 1.1, time, 5, only)
    assert found.allocation.selection != only[0][0]
    assert costs.allows(found.allocation.selection)
