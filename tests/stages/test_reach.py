"""A default gives way to the nearest feasible; what was asked for is refused, and on the board's word alone."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.choices import by_size, ranks
from toolkit.choice import Selection, all_dense
from toolkit.compression import Cost, CostTable, Limits
from toolkit.compression.allocation import fits
from toolkit.compression.knapsack import feasible
from toolkit.errors import BudgetError
from toolkit.profiling import Budget, Limit, Measurement, MemoryModel, Profile, WholeModel
from toolkit.profiling.latency_model import LatencyModel, fit_latency_model
from toolkit.progress import Silent
from toolkit.stages import Watch
from toolkit.stages.learn import Learned
from toolkit.stages.profile import Profiled
from toolkit.stages.reach import hold_to, is_reached, raise_defaults, reach
from toolkit.stages.worth import Worth
from toolkit.units import parse_bytes, parse_milliseconds

COSTS = CostTable(
    dict.fromkeys("ab", by_size({None: Cost(4.0, 4_000_000), 16: Cost(2.0, 2_000_000), 8: Cost(1.0, 1_000_000)})),
    rest_latency_ms=2.0,
    rest_bytes=100_000,
    base_peak_bytes=30_000_000,
)
WHOLES = [ranks({"a": 8, "b": 8}), ranks({"a": 8, "b": None}), ranks({"a": None, "b": 16})]
MODEL: LatencyModel = fit_latency_model(
    COSTS, dict.fromkeys("ab", "linear"), "wall", [(each, COSTS.latency_ms(each)) for each in WHOLES]
)
FASTEST_MS, SPREAD = 4.0, 1.1


def whole(median_ms: float, peak_bytes: int = 30_000_000, size_bytes: int = 2_100_000) -> WholeModel:
    times = {"median_ms": median_ms, "p95_ms": median_ms, "min_ms": median_ms, "load_ms": 0.0}
    return WholeModel(Measurement.model_validate({**times, "runs": 9, "warmups": 1}), peak_bytes, size_bytes)


UNMEASURED = Profiled(Profile.model_construct(), Path(), whole(10.0), MemoryModel(0.0, 1.0), {})
LEARNED = Learned(Worth({}, {}), MODEL, [], SPREAD, UNMEASURED)


@dataclass
class Board:
    """Takes that for whatever it is asked to time."""

    took: WholeModel
    asked: list[Selection] = field(default_factory=list)

    def time(self, chosen: Selection) -> WholeModel:
        self.asked.append(chosen)
        return self.took


def latency(value: float, *, is_default: bool) -> Budget:
    return Budget(Limit(value, "65% of dense" if is_default else "--latency", is_default), None, None)


def test_what_something_keeps_is_left_as_it_is_and_the_board_is_not_asked() -> None:
    board, watch = Board(whole(4.0)), Watch(Silent())
    found = reach(LEARNED, latency(9.0, is_default=True), "wall", board.time, watch)
    assert found.budget == latency(9.0, is_default=True)
    assert (board.asked, watch.notes) == ([], [])


def test_what_the_board_does_not_keep_is_refused_before_it_is_trained_and_a_default_gives_way() -> None:
    took, watch = whole(5.0), Watch(Silent())  # a p95 of 5.5 ms
    for limit in (None, 5.5, 5.0):  # missed by no more than chance
        budget = Budget(None, None, None) if limit is None else latency(limit, is_default=False)
        assert hold_to(budget, took, LEARNED, "wall", watch) == budget
    asked = latency(4.0, is_default=False)
    assert hold_to(asked, None, LEARNED, "wall", watch) == asked  # the board is not at hand
    assert hold_to(replace(asked, keep_accuracy=0.9), took, LEARNED, "wall", watch).latency_ms == asked.latency_ms
    with pytest.raises(BudgetError, match=r"5\.9"):
        hold_to(asked, took, LEARNED, "wall", watch)
    assert watch.notes == []
    raised = hold_to(latency(4.0, is_default=True), took, LEARNED, "wall", watch).latency_ms
    assert raised is not None
    assert raised.value == pytest.approx(5.5 / 0.93, rel=0.01)
    assert len(watch.notes) == 1


@pytest.mark.parametrize("value", [1e-6, 1.0, 4.0])
def test_a_default_that_nothing_keeps_gives_way_to_the_nearest_that_the_board_says(value: float) -> None:
    board, watch = Board(whole(4.4)), Watch(Silent())
    found = reach(LEARNED, latency(value, is_default=True), "wall", board.time, watch)
    assert board.asked == [ranks({"a": 8, "b": 8})]
    assert found.budget.latency_ms is not None
    assert found.budget.latency_ms.is_default
    assert found.budget.latency_ms.value == pytest.approx(4.4 * SPREAD / 0.93, rel=0.01)
    assert feasible(COSTS, found.limits) is not None
    assert len(watch.notes) == 1
    assert "nearest feasible" in watch.notes[0]


def test_what_was_asked_for_is_refused_on_the_boards_word_with_the_nearest() -> None:
    board = Board(whole(4.4))
    with pytest.raises(BudgetError, match="no allocation") as caught:
        reach(LEARNED, latency(1.0, is_default=False), "wall", board.time, Watch(Silent()))
    assert caught.value.where == "latency budget"
    assert board.asked == [ranks({"a": 8, "b": 8})]
    option, value = str(caught.value.next).removeprefix("The nearest feasible is ").split(";")[0].split()
    assert option == "--latency"
    assert parse_milliseconds(value) == pytest.approx(1.03 * 4.4 * SPREAD / 0.93, rel=0.02)


def test_the_memory_that_is_named_is_what_the_board_takes_and_a_little_more() -> None:
    """Less was predicted, about 32 MB; one process peaks 2 % higher than another of its kind."""
    lightest = 40_000_000
    asked = Budget(None, Limit(1_000_000, "--memory"), None)
    with pytest.raises(BudgetError, match="lightest") as caught:
        reach(LEARNED, asked, "wall", Board(whole(1.0, peak_bytes=lightest)).time, Watch(Silent()))
    option, value = str(caught.value.next).removeprefix("The nearest feasible is ").split(";")[0].split()
    assert option == "--memory"
    assert parse_bytes(value) == pytest.approx(1.02 * lightest, abs=100_000)


def test_a_prediction_alone_refuses_nothing() -> None:
    """The board is twice as fast as was predicted: what was asked for can be had."""
    asked = latency(3.0, is_default=False)
    assert not is_reached(LEARNED, asked)
    found = reach(LEARNED, asked, "wall", Board(whole(2.0)).time, Watch(Silent()))
    assert found.budget == asked
    assert feasible(COSTS, found.limits) is not None


def test_beside_what_was_asked_for_a_default_gives_way() -> None:
    """Within the memory that was asked for, nothing keeps the default latency, and the other way round."""
    watch = Watch(Silent())
    memory = Limit(33_000_000, "--memory")
    found = reach(LEARNED, replace(latency(4.0, is_default=True), peak_memory_bytes=memory), "wall", None, watch)
    assert found.budget.peak_memory_bytes == memory
    assert found.budget.latency_ms is not None
    assert found.budget.latency_ms.value > 4.0
    asked, roomy = Limit(9.0, "--latency"), Limit(1_000, "25% of RAM", is_default=True)
    found = reach(LEARNED, Budget(asked, roomy, None), "wall", None, watch)
    assert found.budget.latency_ms == asked
    assert found.budget.peak_memory_bytes is not None
    assert found.budget.peak_memory_bytes.value > 30_000_000


def test_of_a_board_that_is_not_at_hand_it_is_said_that_this_is_predicted() -> None:
    with pytest.raises(BudgetError, match="predicted"):
        reach(LEARNED, Budget(None, None, Limit(1_000, "--size")), "wall", None, Watch(Silent()))


@given(st.floats(1e-3, 30), st.integers(1_000, 50_000_000), st.floats(0.3, 3.0))
def test_defaults_alone_are_never_refused(latency_ms: float, memory: int, slower: float) -> None:
    budget = Budget(Limit(latency_ms, "x", is_default=True), Limit(memory, "y", is_default=True), None)
    board = Board(whole(FASTEST_MS * slower, 32_000_000))
    found = reach(LEARNED, budget, "wall", board.time, Watch(Silent()))
    assert feasible(COSTS, found.limits) is not None


def finds(limits: Limits) -> bool:
    """As an allocator does that leaves all dense, or nothing."""
    return fits(all_dense(["a", "b"]), COSTS, limits)


def test_a_default_gives_way_to_an_allocator_that_finds_nothing_within_it() -> None:
    watch, budget = Watch(Silent()), latency(9.0, is_default=True)
    reached = reach(LEARNED, budget, "wall", None, watch)
    found = raise_defaults(reached, LEARNED, finds, "allocator uniform finds nothing within", watch)
    assert finds(found.limits)
    assert found.budget.latency_ms is not None
    assert found.budget.latency_ms.is_default
    assert found.budget.latency_ms.value >= 10.0 * SPREAD
    assert ["uniform" in note for note in watch.notes] == [True]


def test_a_default_memory_gives_way_alone_and_by_as_little_as_can_be() -> None:
    room, little = Limit(20.0, "65% of dense", is_default=True), Limit(33_000_000, "25% of RAM", is_default=True)
    watch, costs = Watch(Silent()), replace(COSTS, peak_per_byte=1.0)
    learned = replace(LEARNED, model=replace(MODEL, costs=costs))
    needed = costs.peak_bytes(ranks({"a": None, "b": 16}))

    def enough(limits: Limits) -> bool:
        return limits.peak_bytes is not None and limits.peak_bytes >= needed

    reached = reach(learned, Budget(room, little, None), "wall", None, watch)
    found = raise_defaults(reached, learned, enough, "98.0% of the dense accuracy takes more than", watch)
    assert found.limits.latency_ms == reached.limits.latency_ms
    assert found.limits.peak_bytes is not None
    assert needed <= found.limits.peak_bytes <= 1.01 * needed
    assert found.budget.latency_ms == room
    assert found.budget.peak_memory_bytes is not None
    assert found.budget.peak_memory_bytes.value >= needed


def test_what_was_asked_for_does_not_give_way_to_an_allocator() -> None:
    watch = Watch(Silent())
    reached = reach(LEARNED, latency(9.0, is_default=False), "wall", None, watch)
    assert raise_defaults(reached, LEARNED, finds, "allocator uniform finds nothing within", watch) is reached
    assert watch.notes == []
