"""From measurements to limits: where a budget comes from, what may be planned, and what is named when nothing fits."""

import itertools
import math
from dataclasses import replace

import pytest
from boards import board_at
from hypothesis import given
from hypothesis import strategies as st

from tests.choices import by_size, ranks
from toolkit.choice import DENSE, REMOVED, Choice, Selection, all_dense, rank
from toolkit.compression import Cost, CostTable, Limits, Pair, find_shortfall
from toolkit.devices import DeviceFacts
from toolkit.errors import BudgetError
from toolkit.profiling import (
    Accepted,
    Budget,
    Limit,
    Measurement,
    Refusal,
    WholeModel,
    derive_budget,
    judged,
    memory_model,
    p95_over_median,
    plan_limits,
    planned_share,
    unreachable,
    with_overheads,
)
from toolkit.profiling.latency_model import fit_latency_model
from toolkit.profiling.planning import option_ms
from toolkit.targets import Target
from toolkit.units import parse_bytes, parse_milliseconds

FACTS = DeviceFacts("aarch64", None, 4, 1_000_000_000, None, None, "os", "6", None, "3.11.2", None, {}, {})
DENSE_MODEL = WholeModel(
    Measurement(median_ms=10.0, p95_ms=12.0, min_ms=9.0, runs=100, warmups=5, load_ms=1.0), 50_000_000, 8_000_000
)
MINUTE = WholeModel(
    Measurement(median_ms=0.1, p95_ms=0.2, min_ms=0.1, runs=100, warmups=5, load_ms=1.0), 30_000_000, 1_000
)
COSTS = CostTable(
    {
        "a": by_size({None: Cost(4.0, 4_000_000, 200_000), 8: Cost(2.0, 1_000_000, 250_000)}),
        "b": by_size({None: Cost(4.0, 3_900_000, 100_000), 8: Cost(5.0, 900_000, 120_000)}),
    },
    rest_latency_ms=2.0,
    rest_bytes=100_000,
)
MEMORY = memory_model(MINUTE, DENSE_MODEL, 200_000)
COSTS = replace(COSTS, base_peak_bytes=MEMORY.base_bytes, peak_per_byte=MEMORY.per_byte)
# Sums that whole models confirm; what is left is the doubt of a few.
EVERYTHING = ranks({"a": 8, "b": 8})
WHOLES = [EVERYTHING, ranks({"a": 8, "b": None}), ranks({"a": None, "b": 8})]
MODEL = fit_latency_model(
    COSTS, dict.fromkeys("ab", "linear"), "wall", [(each, COSTS.latency_ms(each)) for each in WHOLES]
)
SHARE = planned_share(MODEL, 1.2, [EVERYTHING])
ROOM = MODEL.costs.latency_ms(EVERYTHING) / MODEL.upper_ms(EVERYTHING, 0.99)

INT8, GONE_INT8 = Choice(precision="int8"), Choice("removed", precision="int8")
# Both layers are one block's: they are counted beside it as if they were there, in the precision that it says.
BLOCKS = CostTable(
    {
        "a": {DENSE: Cost(4.0, 4_000_000), INT8: Cost(2.0, 1_000_000), rank(8): Cost(2.0, 1_000_000)},
        "b": {DENSE: Cost(4.0, 3_900_000), INT8: Cost(2.0, 975_000)},
        "block": {DENSE: Cost(0.0, 0), REMOVED: Cost(-8.0, -7_900_000), GONE_INT8: Cost(-4.0, -1_975_000)},
    },
    rest_latency_ms=2.0,
    rest_bytes=100_000,
    conflicts=(
        *(Pair(("block", each), frozenset([REMOVED]), frozenset([INT8, rank(8)])) for each in "ab"),
        *(Pair(("block", each), frozenset([GONE_INT8]), frozenset([DENSE, rank(8)])) for each in "ab"),
    ),
)
EVERY_CHOICE = [
    chosen
    for row in itertools.product(*BLOCKS.parts.values())
    if BLOCKS.allows(chosen := Selection(dict(zip(BLOCKS.parts, row, strict=True))))
]


def target(**budget: float) -> Target:
    return board_at({"transport": "local"}, "t", budget=budget)


def budget(latency_ms: float | None = None, memory: int | None = None, size: int | None = None) -> Budget:
    return Budget(
        None if latency_ms is None else Limit(latency_ms, "test"),
        None if memory is None else Limit(memory, "test"),
        None if size is None else Limit(size, "test"),
    )


def test_a_rate_and_a_duty_make_a_latency() -> None:
    found = derive_budget(target(rate_hz=30, duty=0.5), FACTS, DENSE_MODEL.measurement)
    assert found.latency_ms == Limit(1000 / 30 * 0.5, "50% of a period at 30 Hz (target t)", is_default=True)


def test_without_a_rate_the_dense_p95_is_the_measure() -> None:
    found = derive_budget(target(dense_latency_fraction=0.6), FACTS, DENSE_MODEL.measurement)
    assert found.latency_ms == Limit(0.6 * 12.0, "60% of the dense model's p95, 12 ms (target t)", is_default=True)


def test_a_disturbed_p95_of_the_dense_model_grants_no_more_than_a_calm_one_might() -> None:
    disturbed = DENSE_MODEL.measurement.model_copy(update={"p95_ms": 50.0})
    found = derive_budget(target(dense_latency_fraction=0.6), FACTS, disturbed)
    assert found.latency_ms is not None
    assert found.latency_ms.value == pytest.approx(0.6 * 1.3 * 10.0)


def test_memory_is_a_share_of_the_boards_and_size_is_open() -> None:
    found = derive_budget(target(memory_fraction=0.1), FACTS, DENSE_MODEL.measurement)
    assert found.peak_memory_bytes == Limit(100_000_000, "10% of 1 GB RAM (target t)", is_default=True)
    assert (found.latency_ms, found.size_bytes) == (None, None)


def test_the_command_line_wins_and_says_so() -> None:
    found = derive_budget(
        target(rate_hz=30), FACTS, DENSE_MODEL.measurement, latency_ms=5.0, memory_bytes=64_000_000, size_bytes=1_000
    )
    assert found == Budget(Limit(5.0, "--latency"), Limit(64_000_000, "--memory"), Limit(1_000, "--size"))


def test_memory_is_a_line_through_both_processes() -> None:
    assert MEMORY.base_bytes + MEMORY.per_byte * MINUTE.size_bytes == pytest.approx(MINUTE.peak_bytes, rel=1e-6)
    assert COSTS.peak_bytes(all_dense(["a", "b"])) == pytest.approx(DENSE_MODEL.peak_bytes, rel=1e-6)
    assert MEMORY.per_byte > 1


def test_a_byte_of_weights_takes_a_byte_at_least() -> None:
    lighter = WholeModel(DENSE_MODEL.measurement, MINUTE.peak_bytes - 1_000, DENSE_MODEL.size_bytes)
    assert memory_model(MINUTE, lighter, 0).per_byte == 1.0


def test_whole_models_show_what_files_hold_besides_weights() -> None:
    measured = [
        (ranks({"a": 8, "b": None}), WholeModel(DENSE_MODEL.measurement, 1, 5_000_000 + 600)),
        (ranks({"a": 8, "b": 8}), WholeModel(DENSE_MODEL.measurement, 1, 2_000_000 + 1_000)),
    ]
    better = with_overheads(COSTS, measured)
    assert [better.size_bytes(each) for each, _ in measured] == [5_000_600, 2_001_200]
    assert better.size_bytes(all_dense(["a", "b"])) == COSTS.size_bytes(all_dense(["a", "b"]))
    assert with_overheads(COSTS, []) == COSTS


def test_a_layer_in_int8_and_a_compact_one_hold_different_amounts_besides_weights() -> None:
    parts = {name: {**row, INT8: Cost(1.0, 1_000_000)} for name, row in COSTS.parts.items()}
    costs = replace(COSTS, parts=parts)
    measured = [
        (Selection({"a": INT8, "b": INT8}), WholeModel(DENSE_MODEL.measurement, 1, 2_100_000 + 1_000)),
        (Selection({"a": INT8, "b": ranks({"b": 8})["b"]}), WholeModel(DENSE_MODEL.measurement, 1, 2_000_000 + 700)),
    ]
    better = with_overheads(costs, measured)
    assert [better.size_bytes(each) for each, _ in measured] == [2_101_000, 2_000_700]
    assert better.parts["a"][INT8].weight_bytes == 1_000_500


def test_a_block_that_is_gone_takes_its_part_of_the_graph_with_it() -> None:
    gone = Selection({"a": DENSE, "b": DENSE, "block": REMOVED})
    measured = [(gone, WholeModel(DENSE_MODEL.measurement, 1, BLOCKS.size_bytes(gone) - 1_200))]
    better = with_overheads(BLOCKS, measured, {"block": 2})
    assert better.size_bytes(gone) == BLOCKS.size_bytes(gone) - 1_200


def test_a_layer_that_is_gone_holds_no_scales() -> None:
    every = Selection({"a": INT8, "b": INT8, "block": DENSE})
    gone = Selection({"a": INT8, "b": INT8, "block": GONE_INT8})
    measured = [(every, WholeModel(DENSE_MODEL.measurement, 1, BLOCKS.size_bytes(every) + 3_000))]
    better = with_overheads(BLOCKS, measured, {"block": 2})
    assert better.size_bytes(every) == BLOCKS.size_bytes(every) + 3_000
    assert better.size_bytes(gone) == BLOCKS.size_bytes(gone)


@given(st.dictionaries(st.sampled_from(EVERY_CHOICE), st.integers(0, 50_000), max_size=6))
def test_no_model_is_predicted_to_have_less_than_no_bytes(sizes: dict[Selection, int]) -> None:
    """From whatever was measured: a fit through few models says anything of others where nothing bounds it."""
    measured = [(chosen, WholeModel(DENSE_MODEL.measurement, 1, size)) for chosen, size in sizes.items()]
    better = with_overheads(BLOCKS, measured, {"block": 2})
    for chosen in EVERY_CHOICE:
        assert better.size_bytes(chosen) >= 0
        if chosen in sizes and not any(choice.form == "removed" for choice in chosen.values()):
            assert better.size_bytes(chosen) >= min(sizes[chosen], BLOCKS.size_bytes(chosen))


def test_no_measured_model_peaks_above_its_prediction() -> None:
    choices = [ranks({"a": 8, "b": None}), ranks({"a": 8, "b": 8})]
    measured = [
        (each, WholeModel(DENSE_MODEL.measurement, COSTS.peak_bytes(each) + beyond, COSTS.size_bytes(each)))
        for each, beyond in zip(choices, (300_000, -500_000), strict=True)
    ]
    better = with_overheads(COSTS, measured)
    assert [better.peak_bytes(each) - COSTS.peak_bytes(each) for each in choices] == [300_000, 300_000]


def test_wall_time_is_spread_as_a_rule_and_counted_instructions_at_worst() -> None:
    rows = [DENSE_MODEL.measurement.model_copy(update={"p95_ms": p95}) for p95 in (10.1, 10.2, 11.0, 30.0)]
    assert p95_over_median("wall", rows) == pytest.approx((1.02 + 1.1) / 2)
    assert p95_over_median("instructions", rows) == 1.3  # more is a disturbance, not the model


def planned(given: Budget) -> Limits:
    limits = plan_limits(given, SHARE)
    if find_shortfall(MODEL.costs, limits):
        raise unreachable(given, MODEL.costs, SHARE, "the fastest takes more", None)
    return limits


def test_a_planned_median_leaves_room_for_spread_and_for_what_is_not_known() -> None:
    limits = planned(budget(latency_ms=12.0))
    assert limits.latency_ms == pytest.approx(12.0 / 1.2 * ROOM)
    assert ROOM < 0.97
    assert limits.size_bytes is None


def test_size_and_memory_are_limits_of_their_own() -> None:
    limits = planned(budget(memory=48_000_000, size=2_500_000))
    assert (limits.latency_ms, limits.size_bytes, limits.peak_bytes) == (None, 2_500_000, 48_000_000)


def test_what_is_predicted_and_not_kept_is_refused_by_what_was_measured() -> None:
    """12 ms can be had by the predictions; on the board the allocation that they chose took 14."""
    error = unreachable(budget(latency_ms=12.0), MODEL.costs, SHARE, "the fastest takes 14 ms", Limits(latency_ms=14.0))
    assert error.sentence == "latency budget: no allocation keeps p95 within 12 ms: the fastest takes 14 ms"
    assert error.next == "The nearest feasible is --latency 14.5ms; or give a smaller model."


def nearest(given: Budget) -> str:
    with pytest.raises(BudgetError, match=r"no allocation") as caught:
        planned(given)
    assert caught.value.next is not None
    return caught.value.next.removeprefix("The nearest feasible is ").split(";")[0]


def test_the_nearest_feasible_latency_is_named_and_feasible() -> None:
    option, value = nearest(budget(latency_ms=1.0)).split()
    assert option == "--latency"
    assert parse_milliseconds(value) == pytest.approx(1.03 * 8.0 * 1.2 / ROOM, rel=0.01)
    planned(budget(latency_ms=parse_milliseconds(value)))


def test_the_nearest_feasible_size_is_named_and_feasible() -> None:
    option, value = nearest(budget(size=1_000)).split()
    assert (option, value) == ("--size", "2000KB")
    planned(budget(size=parse_bytes(value)))


@pytest.mark.parametrize("too_little", [1_000, 30_000_500, 31_000_000])
def test_the_nearest_feasible_memory_is_named_and_feasible(too_little: int) -> None:
    option, value = nearest(budget(memory=too_little)).split()
    assert option == "--memory"
    assert parse_bytes(value) == pytest.approx(COSTS.peak_bytes(EVERYTHING), abs=200_000)
    planned(budget(memory=parse_bytes(value)))


def test_two_limits_that_hold_alone_but_not_together_name_the_nearest() -> None:
    """Layer b is smaller but slower when compact: at 3 MB the fastest takes 9 ms, not 8."""
    tight = budget(latency_ms=8.5 * 1.2 / ROOM, size=3_000_000)
    for alone in (replace(tight, size_bytes=None), replace(tight, latency_ms=None)):
        planned(alone)
    option, value = nearest(tight).split()
    assert option == "--latency"
    assert parse_milliseconds(value) == pytest.approx(1.03 * 9.0 * 1.2 / ROOM, rel=0.01)
    planned(budget(latency_ms=parse_milliseconds(value), size=3_000_000))


def test_limits_that_are_all_too_low_name_all_that_must_be_raised() -> None:
    options = nearest(budget(latency_ms=1.0, size=1_000, memory=1_000)).split()
    assert options[::2] == ["--latency", "--size", "--memory"]
    latency, size, memory = options[1::2]
    raised = budget(latency_ms=parse_milliseconds(latency), size=parse_bytes(size), memory=parse_bytes(memory))
    planned(raised)


@given(st.floats(1e-6, 1e6))
def test_a_latency_is_rounded_up_by_less_than_a_hundredth(value: float) -> None:
    written = parse_milliseconds(option_ms(value).split()[1])
    assert value <= written <= value * 1.011


def said(max_abs: float = 1e-6, max_relative: float = 1e-6, tolerance: float | None = 1e-3) -> Accepted:
    return Accepted(DENSE_MODEL.measurement, 40_000_000, max_abs, max_relative, tolerance, 1, {}, ())


def test_a_release_within_its_budget_is_not_refused() -> None:
    within = budget(latency_ms=12.0, memory=40_000_000, size=1_000)
    assert judged(said(), 1_000, within).refusals == ()
    assert judged(said(), 1_000, budget()).refusals == ()


@pytest.mark.parametrize(
    ("given", "measured", "missed", "reason"),
    [
        (budget(latency_ms=10.0), said(), "latency", "p95 is 12 ms, 20% over the budget of 10 ms"),
        (budget(memory=32_000_000), said(), "memory", "peak memory is 40 MB, 25.0% over the budget of 32 MB"),
        (budget(size=800), said(), "size", "size is 1 kB, 25.0% over the budget of 800 B"),
        (
            budget(),
            said(3e-4, 0.0031),
            "outputs",
            "outputs differ from the host's by 0.0031 of their size, more than 0.001",
        ),
        (
            budget(),
            said(math.nan, math.nan),
            "outputs",
            "outputs differ from the host's by nan of their size, more than 0.001",
        ),
        (
            budget(),
            said(math.inf, math.inf),
            "outputs",
            "outputs differ from the host's by inf of their size, more than 0.001",
        ),
        (budget(), said(3e-4, 3e-7, None), "outputs", "outputs differ from the host's by 0.0003, more than 0.0001"),
        (budget(), said(math.nan, 0.0, None), "outputs", "outputs differ from the host's by nan, more than 0.0001"),
    ],
)
def test_a_refusal_says_by_how_much(given: Budget, measured: Accepted, missed: str, reason: str) -> None:
    assert judged(measured, 1_000, given).refusals == (Refusal(missed, reason),)


def test_outputs_may_differ_by_more_the_larger_they_are() -> None:
    assert judged(said(0.5, 5e-4), 1_000, budget()).refusals == ()


def test_every_reason_is_told() -> None:
    assert len(judged(said(1.0, 1.0), 1_000, budget(1.0, 1_000, 10)).refusals) == 4
