"""Both allocators keep every limit; the exact one is as good as trying everything, and says so with its bound."""

import itertools
import math
import os
import random
import re
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.choices import by_size, curve, ranks
from toolkit.choice import DENSE, Choice, Selection, all_dense, keep, rank
from toolkit.compression import (
    ALLOCATORS,
    Allocator,
    Cost,
    CostTable,
    GainCurve,
    Limits,
    Pair,
    allocate_exact,
    allocate_greedy,
    allocate_magnitude,
    allocate_uniform,
    allocator_named,
    find_shortfall,
)
from toolkit.compression.allocation import fits
from toolkit.compression.silence import silent_stdout
from toolkit.errors import BudgetError
from toolkit.units import parse_bytes, parse_milliseconds

Problem = tuple[dict[str, GainCurve], CostTable, Limits]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """One to four layers, each dense or at up to three ranks, with limits somewhere near what the choices cost."""
    gains, layers = {}, {}
    for name in "abcd"[: draw(st.integers(1, 4))]:
        sizes = [8 * (step + 1) for step in range(draw(st.integers(0, 3)))]
        amounts = st.floats(0, 10) | st.floats(0, 1e-6)
        rising = list(itertools.accumulate(draw(st.lists(amounts, min_size=len(sizes) + 1, max_size=len(sizes) + 1))))
        energy = {size: (place + 1) / (len(sizes) + 1) for place, size in enumerate(sizes)}
        gains[name] = curve(name, dict(zip(sizes, rising, strict=False)), rising[-1], energy)
        layers[name] = {
            choice: Cost(draw(st.floats(1e-3, 5)), draw(st.integers(4, 10**6)), draw(st.integers(4, 10**6)))
            for choice in (DENSE, *map(rank, sizes))
        }
    costs = CostTable(
        layers,
        draw(st.floats(0, 2)),
        draw(st.integers(0, 10**5)),
        base_peak_bytes=draw(st.floats(0, 10**5)),
        peak_per_byte=draw(st.floats(1, 3)),
    )
    limits = Limits(
        draw(st.none() | st.floats(0.05, 30)),
        draw(st.none() | st.integers(10, 4 * 10**6)),
        draw(st.none() | st.integers(10, 10**7)),
    )
    return gains, costs, limits


def _every(costs: CostTable) -> list[Selection]:
    return [
        Selection(dict(zip(costs.parts, choices, strict=True)))
        for choices in itertools.product(*map(list, costs.parts.values()))
    ]


def _keeps(chosen: Selection, costs: CostTable, limits: Limits, slack: float = 1e-9) -> bool:
    return (
        (limits.latency_ms is None or costs.latency_ms(chosen) <= limits.latency_ms * (1 + slack))
        and (limits.size_bytes is None or costs.size_bytes(chosen) <= limits.size_bytes * (1 + min(slack, 0)))
        and (limits.peak_bytes is None or costs.peak_bytes(chosen) <= limits.peak_bytes * (1 + min(slack, 0)))
    )


def _gain(chosen: Selection, gains: dict[str, GainCurve]) -> float:
    return sum(gains[name].of(choice) for name, choice in chosen.items())


@settings(max_examples=120, deadline=None)
@given(problems())
def test_exact_equals_trying_everything_and_proves_it(problem: Problem) -> None:
    gains, costs, limits = problem
    feasible = [chosen for chosen in _every(costs) if _keeps(chosen, costs, limits)]
    # A choice within the solver's tolerance of a limit may be left out.
    clearly = [_gain(chosen, gains) for chosen in feasible if _keeps(chosen, costs, limits, -1e-5)]
    try:
        found = allocate_exact(gains, costs, limits)
    except BudgetError:
        assert not clearly
        return
    assert _keeps(found.selection, costs, limits)
    assert found.gain == pytest.approx(_gain(found.selection, gains))
    assert (found.latency_ms, found.size_bytes) == (
        costs.latency_ms(found.selection),
        costs.size_bytes(found.selection),
    )
    assert found.peak_bytes == costs.peak_bytes(found.selection)
    best = max(_gain(chosen, gains) for chosen in feasible)
    blind = 1e-6 * sum(curve.dense for curve in gains.values())  # the solver sees no smaller differences of gains
    assert found.gain >= max(clearly, default=0) * (1 - 1e-5) - blind
    assert found.gain_bound >= best * (1 - 1e-5) - blind
    if best == max(clearly, default=-1):
        assert found.bound_gap <= 1e-5


@settings(max_examples=120, deadline=None)
@given(problems())
def test_greedy_keeps_the_limits_and_never_beats_exact(problem: Problem) -> None:
    gains, costs, limits = problem
    try:
        exact = allocate_exact(gains, costs, limits)
    except BudgetError:
        exact = None
    try:
        greedy = allocate_greedy(gains, costs, limits)
    except BudgetError:
        assert exact is None or not any(_keeps(chosen, costs, limits, -1e-5) for chosen in _every(costs))
        return
    assert _keeps(greedy.selection, costs, limits)
    assert greedy.gain <= greedy.gain_bound
    if exact is not None and any(_keeps(chosen, costs, limits, -1e-5) for chosen in _every(costs)):
        assert greedy.gain <= exact.gain_bound * (1 + 1e-5) + 1e-12


@settings(max_examples=80, deadline=None)
@given(problems(), st.sampled_from(["uniform", "magnitude", "random"]))
def test_a_baseline_keeps_the_limits_or_says_that_it_cannot(problem: Problem, name: str) -> None:
    gains, costs, limits = problem
    clearly = any(_keeps(chosen, costs, limits, -1e-5) for chosen in _every(costs))
    refusal = None
    try:
        found = ALLOCATORS[name](gains, costs, limits)
    except BudgetError as error:
        refusal = str(error.next)
    if refusal is not None:
        assert not clearly or (name != "random" and "Choose allocator exact" in refusal)
        return
    assert _keeps(found.selection, costs, limits)
    if clearly:
        assert found.gain <= allocate_exact(gains, costs, limits).gain_bound * (1 + 1e-5) + 1e-12


def ladder(milliseconds: float) -> dict[Choice, Cost]:
    """Time in proportion to rank, up to four times 8."""
    return by_size({size: Cost(milliseconds * (size or 40), 4) for size in (None, 8, 16, 24, 32)})


FLAT = curve("a", {8: 1.0, 16: 2.0, 24: 3.0, 32: 4.0}, 5.0, {8: 0.23, 16: 0.44, 24: 0.63, 32: 0.8})
STEEP = curve("b", {8: 1.0, 16: 1.0, 24: 1.0, 32: 1.0}, 1.0, {8: 0.97, 16: 0.98, 24: 0.99, 32: 0.995})


def test_uniform_keeps_one_ratio_the_largest_that_fits() -> None:
    costs = CostTable({"a": ladder(1.0), "b": {**ladder(1.0), rank(64): Cost(64, 4)}}, 0.0, 0)
    gains = {"a": FLAT, "b": replace(STEEP, by_choice={**STEEP.by_choice, rank(64): 1.0})}
    assert allocate_uniform(gains, costs, Limits(latency_ms=48.0)).selection == ranks({"a": 16, "b": 32})
    assert allocate_uniform(gains, costs, Limits(latency_ms=47.9)).selection == ranks({"a": 8, "b": 24})


def test_magnitude_spends_where_the_weights_energy_is_whatever_the_task_says() -> None:
    costs = CostTable({"a": ladder(1.0), "b": ladder(1.0)}, 0.0, 0)
    for gains in (
        {"a": FLAT, "b": STEEP},
        {"a": replace(FLAT, by_choice=dict.fromkeys(FLAT.by_choice, 0.0)), "b": STEEP},
    ):
        assert allocate_magnitude(gains, costs, Limits(latency_ms=33.0)).selection == ranks({"a": 24, "b": 8})


def test_random_is_another_with_another_seed_and_the_same_with_the_same() -> None:
    costs = CostTable({name: ladder(1.0) for name in "abcdefgh"}, 0.0, 0)
    gains = {name: replace(FLAT, part=name) for name in "abcdefgh"}
    found = [allocator_named("random", seed)(gains, costs, Limits(latency_ms=150.0)).selection for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert all(140 < costs.latency_ms(chosen) <= 150 for chosen in found)


@settings(max_examples=120, deadline=None)
@given(problems())
def test_the_nearest_feasible_limits_are_feasible_and_no_nearer_ones_are(problem: Problem) -> None:
    gains, costs, limits = problem
    short = find_shortfall(costs, limits)
    some_fit = any(_keeps(chosen, costs, limits) for chosen in _every(costs))
    if short is None:
        assert some_fit
        return
    assert not any(_keeps(chosen, costs, limits, -1e-5) for chosen in _every(costs))
    assert short.raised
    assert fits(allocate_exact(gains, costs, short.nearest).selection, costs, short.nearest)
    if len(short.raised) == 1:
        [raised] = short.raised
        nearer = replace(
            short.nearest, **{raised: type(getattr(limits, raised))(getattr(short.nearest, raised) * 0.99)}
        )
        assert not any(_keeps(chosen, costs, nearer, -1e-5) for chosen in _every(costs))


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from(["exact", "greedy"]))
def test_a_refusal_names_a_budget_that_is_feasible(problem: Problem, name: str) -> None:
    gains, costs, limits = problem
    refusal = None
    try:
        ALLOCATORS[name](gains, costs, limits)
    except BudgetError as error:
        refusal = error
    assume(refusal is not None)
    assert refusal is not None
    advice = str(refusal.next)
    median = re.search(r"planned median of ([0-9.e+-]+ [a-zµ]+)", advice)
    size = re.search(r"--size ([0-9]+KB)", advice)
    peak = re.search(r"peak of ([0-9]+KB)", advice)
    assert median or size or peak, advice
    ALLOCATORS[name](
        gains,
        costs,
        Limits(
            parse_milliseconds(median[1]) if median else limits.latency_ms,
            parse_bytes(size[1]) if size else limits.size_bytes,
            parse_bytes(peak[1]) if peak else limits.peak_bytes,
        ),
    )


def test_greedy_finds_what_fits_both_limits_where_the_cheapest_in_sum_does_not() -> None:
    # Each layer is either fast and big or slow and small, at one spend: the first of each is 2 ms and 6 kB.
    row = by_size({None: Cost(1.0, 3000), 8: Cost(3.0, 1000)})
    costs = CostTable({"a": row, "b": row}, 0.0, 0)
    gains = {name: curve(name, {8: 1.0}, 1.0) for name in "ab"}
    assert allocate_greedy(gains, costs, Limits(4.0, 4000)).latency_ms == 4.0


@pytest.mark.parametrize("allocate", ALLOCATORS.values(), ids=ALLOCATORS)
def test_no_limit_leaves_every_layer_dense(allocate: Allocator) -> None:
    costs = CostTable({"a": by_size({None: Cost(2.0, 400), 8: Cost(1.0, 100)})}, 0.0, 0)
    found = allocate({"a": curve("a", {8: 0.5}, 1.0, {8: 0.9})}, costs, Limits())
    assert (found.selection, found.gain, found.bound_gap) == (all_dense(["a"]), 1.0, 0.0)


def test_the_peak_counts_the_largest_activations_not_their_sum() -> None:
    row = by_size({None: Cost(1.0, 1000, 500), 8: Cost(1.0, 400, 700)})
    costs = CostTable({"a": row, "b": row}, 0.0, 0, base_peak_bytes=50.0, peak_per_byte=2.0)
    gains = {name: curve(name, {8: 0.5}, 1.0) for name in "ab"}
    assert costs.peak_bytes(ranks({"a": None, "b": 8})) == 50 + 2 * 1400 + 700
    tight = allocate_exact(gains, costs, Limits(peak_bytes=50 + 2 * 1400 + 700))
    assert sorted(map(str, tight.selection.values())) == ["dense", "rank 8"]
    assert allocate_exact(gains, costs, Limits(peak_bytes=50 + 2 * 1400 + 699)).selection == ranks({"a": 8, "b": 8})


def test_the_solver_says_nothing_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    with silent_stdout():
        os.write(1, b"printed by a library")
    assert capfd.readouterr().out == ""


def test_two_hundred_layers_of_64_choices_under_three_budgets_are_proved_to_a_thousandth() -> None:
    draw = random.Random(0)
    gains, layers = {}, {}
    for name in map(str, range(200)):
        inputs, outputs, tokens = draw.randint(64, 2048), draw.randint(64, 2048), draw.randint(1, 200)
        sizes = [8 * step for step in range(1, 64)]
        rising = list(itertools.accumulate(draw.uniform(0.5, 1) * 0.95**step for step in range(64)))
        worth = 10 ** draw.uniform(-3, 1) / rising[-1]
        gains[name] = curve(
            name, {size: worth * each for size, each in zip(sizes, rising, strict=False)}, worth * rising[-1]
        )
        stairs = {size: math.ceil(size / 64) * 64 * draw.uniform(0.97, 1.03) for size in sizes}
        layers[name] = by_size(
            {
                size: Cost(
                    1e-8 * tokens * (inputs + outputs) * stairs.get(size or 0, 500),
                    4 * (inputs + outputs) * (size or 512),
                    4 * tokens * (inputs + outputs + (size or 0)),
                )
                for size in (*sizes, None)
            }
        )
    costs = CostTable(layers, 1.0, 10_000, base_peak_bytes=5e6, peak_per_byte=1.3)
    dense = all_dense(layers)
    limits = Limits(
        0.4 * costs.latency_ms(dense), int(0.4 * costs.size_bytes(dense)), int(0.4 * costs.peak_bytes(dense))
    )
    found = allocate_exact(gains, costs, limits)
    assert fits(found.selection, costs, limits)
    assert 0 < found.bound_gap <= 1e-3


@st.composite
def problems_with_pairs(draw: st.DrawFn) -> Problem:
    """Up to four layers of two ranks, groups of channels that narrow some of them, and costs between neighbours."""
    names = "abcd"[: draw(st.integers(2, 4))]
    amounts, times = st.floats(0, 10), st.floats(1e-3, 5)
    layers: dict[str, dict[Choice, Cost]] = {}
    for name in names:
        layers[name] = by_size({size: Cost(draw(times), draw(st.integers(4, 10**6))) for size in (None, 8, 16)})
    narrowed = {f"channels of {name}": (name, *names[place + 1 :][:1]) for place, name in enumerate(names[::2])}
    for group in narrowed:
        cuts = {keep(kept): Cost(draw(st.floats(-6, 1)), draw(st.integers(-(10**6), 0))) for kept in (4, 12)}
        layers[group] = {DENSE: Cost(0.0, 0), **cuts}
    gains = {}
    for name, row in layers.items():
        small, large, dense = sorted(draw(st.tuples(amounts, amounts, amounts)))
        gains[name] = GainCurve(name, dict(zip(sorted(set(row) - {DENSE}), (small, large), strict=True)), dense)
    conflicts = tuple(_conflict(layers, group, layer) for group, cut in narrowed.items() for layer in cut)
    between = tuple(
        (Pair((one, other), frozenset(layers[one]) - {DENSE}, frozenset({DENSE})), draw(st.floats(0, 2)))
        for one, other in itertools.pairwise(names)
        if draw(st.booleans())
    )
    costs = CostTable(layers, draw(st.floats(-2, 2)), draw(st.integers(0, 10**5)), conflicts=conflicts, between=between)
    limits = Limits(
        draw(st.none() | st.floats(0.05, 15)),
        draw(st.none() | st.integers(100, 3 * 10**6)),
        draw(st.none() | st.integers(100, 10**7)),
    )
    return gains, costs, limits


def _conflict(layers: dict[str, dict[Choice, Cost]], one: str, other: str) -> Pair:
    """Neither is dense."""
    return Pair((one, other), frozenset(layers[one]) - {DENSE}, frozenset(layers[other]) - {DENSE})


def _allowed(chosen: Selection, costs: CostTable) -> bool:
    return not any(all(chosen[part] != DENSE for part in pair.parts) for pair in costs.conflicts)


@settings(max_examples=150, deadline=None)
@given(problems_with_pairs())
def test_what_conflicts_and_what_stands_between_is_chosen_as_well_as_by_trying_everything(problem: Problem) -> None:
    gains, costs, limits = problem
    # Next to nothing left is a scale that the solver's tolerance cannot be a share of.
    assume(limits.latency_ms is None or abs(limits.latency_ms - costs.rest_latency_ms) > 1e-2)
    feasible = [chosen for chosen in _every(costs) if _allowed(chosen, costs) and fits(chosen, costs, limits)]
    roomier = replace(limits, latency_ms=limits.latency_ms and limits.latency_ms - 1e-3)
    roomier = replace(roomier, size_bytes=limits.size_bytes and limits.size_bytes - 50)
    roomier = replace(roomier, peak_bytes=limits.peak_bytes and limits.peak_bytes - 50)
    clearly = [_gain(chosen, gains) for chosen in feasible if fits(chosen, costs, roomier)]
    for allocate in (allocate_exact, allocate_greedy):
        try:
            found = allocate(gains, costs, limits)
        except BudgetError:
            assert not clearly
            continue
        assert found.selection in feasible
        assert found.gain_bound >= max(_gain(chosen, gains) for chosen in feasible) * (1 - 1e-5) - 1e-5
        if allocate is allocate_exact and clearly:
            assert found.gain >= max(clearly) * (1 - 1e-5) - 1e-5


def test_a_layer_that_lost_channels_is_not_compact_as_well() -> None:
    layers = {name: by_size({None: Cost(2.0, 0), 8: Cost(1.0, 0)}) for name in "ab"}
    group = "channels of a"
    layers[group] = by_size({None: Cost(0.0, 0), 4: Cost(-1.5, 0)}, keep)
    costs = CostTable(layers, 0.0, 0, conflicts=tuple(_conflict(layers, group, name) for name in "ab"))
    gains = {name: curve(name, {8: 1.0}, 2.0) for name in "ab"} | {group: curve(group, {4: 1.0}, 2.0, form=keep)}
    assert not fits(ranks({"a": 8, "b": None}).but({group: keep(4)}), costs, Limits())
    # Cut alone saves most; both layers compact save more yet, and nothing saves more than that.
    cut, compact = all_dense(layers).but({group: keep(4)}), all_dense(layers).but(ranks({"a": 8, "b": 8}))
    assert allocate_exact(gains, costs, Limits(latency_ms=2.6)).selection == cut
    assert allocate_exact(gains, costs, Limits(latency_ms=2.4)).selection == compact
    with pytest.raises(BudgetError, match="2 ms"):
        allocate_exact(gains, costs, Limits(latency_ms=1.9))


def test_what_a_change_from_one_layer_to_the_next_costs_is_paid_once_or_avoided() -> None:
    names = "abcd"
    layers = {name: {DENSE: Cost(2.0, 0), Choice(precision="int8"): Cost(1.0, 0)} for name in names}
    gains = {name: GainCurve(name, {Choice(precision="int8"): 0.5 if name == "b" else 0.9}, 1.0) for name in names}
    int8, fp32 = frozenset({Choice(precision="int8")}), frozenset({DENSE})
    changes = [
        pair
        for one, other in itertools.pairwise(names)
        for pair in ((one, other, int8, fp32), (one, other, fp32, int8))
    ]
    between = tuple((Pair((one, other), first, second), 0.6) for one, other, first, second in changes)
    costs = CostTable(layers, 0.0, 0, between=between)
    assert costs.latency_ms({"a": DENSE, "b": DENSE, "c": Choice(precision="int8"), "d": DENSE}) == 2 * 3 + 1 + 2 * 0.6
    # Without changes c, d and a would be the cheapest three to quantise; the change around b costs more than it saves.
    free = allocate_exact(gains, replace(costs, between=()), Limits(latency_ms=5.0)).selection
    assert [free[name].precision for name in names] == ["int8", "fp32", "int8", "int8"]
    found = allocate_exact(gains, costs, Limits(latency_ms=5.0)).selection
    assert [found[name].precision for name in names] == ["int8", "int8", "int8", "int8"]
    with pytest.raises(BudgetError):
        allocate_exact(gains, costs, Limits(latency_ms=3.9))


def test_gains_of_a_billionth_still_choose() -> None:
    costs = CostTable({name: by_size({None: Cost(2.0, 1), 8: Cost(1.0, 1)}) for name in "ab"}, 0.0, 0)
    gains = {"a": curve("a", {8: 0.0}, 1e-9), "b": curve("b", {8: 0.0}, 2e-9)}
    assert allocate_exact(gains, costs, Limits(latency_ms=3.0)).selection == ranks({"a": 8, "b": None})


def test_layers_worth_nothing_are_still_allocated() -> None:
    costs = CostTable({"a": by_size({None: Cost(2.0, 1), 8: Cost(1.0, 1)})}, 0.0, 0)
    assert allocate_exact({"a": curve("a", {8: 0.0}, 0.0)}, costs, Limits(latency_ms=1.0)).selection == ranks({"a": 8})


@pytest.mark.parametrize("seed", range(100))
def test_a_limit_just_below_what_some_choice_costs_is_kept(seed: int) -> None:
    # HiGHS accepts a constraint broken by 1e-6: asked only once, it oversteps in 9 of these 100 problems.
    draw = random.Random(seed)
    names = [str(index) for index in range(draw.choice([3, 6, 10]))]
    rows = {
        name: by_size({None: Cost(draw.uniform(2e-3, 5e-3), 1), 8: Cost(draw.uniform(5e-4, 3e-3), 1)}) for name in names
    }
    gains = {name: curve(name, {8: draw.uniform(0.1, 0.9)}, 1.0) for name in names}
    costs = CostTable(rows, 0.0, 0)
    limit = costs.latency_ms(ranks({name: draw.choice([None, 8]) for name in names})) * (
        1 - draw.choice([1e-7, 1e-6, 1e-5])
    )
    with suppress(BudgetError):
        assert allocate_exact(gains, costs, Limits(latency_ms=limit)).latency_ms <= limit * (1 + 1e-9)
