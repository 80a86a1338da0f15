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

from toolkit.compression import (
    ALLOCATORS,
    Allocator,
    Cost,
    CostTable,
    GainCurve,
    Limits,
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
        ranks = [8 * (step + 1) for step in range(draw(st.integers(0, 3)))]
        amounts = st.floats(0, 10) | st.floats(0, 1e-6)
        rising = list(itertools.accumulate(draw(st.lists(amounts, min_size=len(ranks) + 1, max_size=len(ranks) + 1))))
        energy = {rank: (place + 1) / (len(ranks) + 1) for place, rank in enumerate(ranks)}
        gains[name] = GainCurve(name, dict(zip(ranks, rising, strict=False)), rising[-1], energy)
        layers[name] = {
            rank: Cost(draw(st.floats(1e-3, 5)), draw(st.integers(4, 10**6)), draw(st.integers(4, 10**6)))
            for rank in (None, *ranks)
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


def _every(costs: CostTable) -> list[dict[str, int | None]]:
    return [
        dict(zip(costs.layers, choice, strict=True)) for choice in itertools.product(*map(list, costs.layers.values()))
    ]


def _keeps(ranks: dict[str, int | None], costs: CostTable, limits: Limits, slack: float = 1e-9) -> bool:
    return (
        (limits.latency_ms is None or costs.latency_ms(ranks) <= limits.latency_ms * (1 + slack))
        and (limits.size_bytes is None or costs.size_bytes(ranks) <= limits.size_bytes * (1 + min(slack, 0)))
        and (limits.peak_bytes is None or costs.peak_bytes(ranks) <= limits.peak_bytes * (1 + min(slack, 0)))
    )


def _gain(ranks: dict[str, int | None], gains: dict[str, GainCurve]) -> float:
    return sum(gains[name].of(rank) for name, rank in ranks.items())


@settings(max_examples=120, deadline=None)
@given(problems())
def test_exact_equals_trying_everything_and_proves_it(problem: Problem) -> None:
    gains, costs, limits = problem
    feasible = [ranks for ranks in _every(costs) if _keeps(ranks, costs, limits)]
    # A choice within the solver's tolerance of a limit may be left out.
    clearly = [_gain(ranks, gains) for ranks in feasible if _keeps(ranks, costs, limits, -1e-5)]
    try:
        found = allocate_exact(gains, costs, limits)
    except BudgetError:
        assert not clearly
        return
    assert _keeps(found.ranks, costs, limits)
    assert found.gain == pytest.approx(_gain(found.ranks, gains))
    assert (found.latency_ms, found.size_bytes) == (costs.latency_ms(found.ranks), costs.size_bytes(found.ranks))
    assert found.peak_bytes == costs.peak_bytes(found.ranks)
    best = max(_gain(ranks, gains) for ranks in feasible)
    assert found.gain >= max(clearly, default=0) * (1 - 1e-5) - 1e-12
    assert found.gain_bound >= best * (1 - 1e-5)
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
        assert exact is None or not any(_keeps(ranks, costs, limits, -1e-5) for ranks in _every(costs))
        return
    assert _keeps(greedy.ranks, costs, limits)
    assert greedy.gain <= greedy.gain_bound
    if exact is not None and any(_keeps(ranks, costs, limits, -1e-5) for ranks in _every(costs)):
        assert greedy.gain <= exact.gain_bound * (1 + 1e-5) + 1e-12


@settings(max_examples=80, deadline=None)
@given(problems(), st.sampled_from(["uniform", "magnitude", "random"]))
def test_a_baseline_keeps_the_limits_or_says_that_it_cannot(problem: Problem, name: str) -> None:
    gains, costs, limits = problem
    clearly = any(_keeps(ranks, costs, limits, -1e-5) for ranks in _every(costs))
    refusal = None
    try:
        found = ALLOCATORS[name](gains, costs, limits)
    except BudgetError as error:
        refusal = str(error.next)
    if refusal is not None:
        assert not clearly or (name != "random" and "Choose allocator exact" in refusal)
        return
    assert _keeps(found.ranks, costs, limits)
    if clearly:
        assert found.gain <= allocate_exact(gains, costs, limits).gain_bound * (1 + 1e-5) + 1e-12


def ladder(milliseconds: float) -> dict[int | None, Cost]:
    """Time in proportion to rank, up to four times 8."""
    return {rank: Cost(milliseconds * (rank or 40), 4) for rank in (None, 8, 16, 24, 32)}


FLAT = GainCurve("a", {8: 1.0, 16: 2.0, 24: 3.0, 32: 4.0}, 5.0, {8: 0.23, 16: 0.44, 24: 0.63, 32: 0.8})
STEEP = GainCurve("b", {8: 1.0, 16: 1.0, 24: 1.0, 32: 1.0}, 1.0, {8: 0.97, 16: 0.98, 24: 0.99, 32: 0.995})


def test_uniform_keeps_one_ratio_the_largest_that_fits() -> None:
    costs = CostTable({"a": ladder(1.0), "b": {**ladder(1.0), 64: Cost(64, 4)}}, 0.0, 0)
    gains = {"a": FLAT, "b": replace(STEEP, by_rank={**STEEP.by_rank, 64: 1.0})}
    assert allocate_uniform(gains, costs, Limits(latency_ms=48.0)).ranks == {"a": 16, "b": 32}
    assert allocate_uniform(gains, costs, Limits(latency_ms=47.9)).ranks == {"a": 8, "b": 24}


def test_magnitude_spends_where_the_weights_energy_is_whatever_the_task_says() -> None:
    costs = CostTable({"a": ladder(1.0), "b": ladder(1.0)}, 0.0, 0)
    for gains in ({"a": FLAT, "b": STEEP}, {"a": replace(FLAT, by_rank=dict.fromkeys(FLAT.by_rank, 0.0)), "b": STEEP}):
        assert allocate_magnitude(gains, costs, Limits(latency_ms=33.0)).ranks == {"a": 24, "b": 8}


def test_random_is_another_with_another_seed_and_the_same_with_the_same() -> None:
    costs = CostTable({name: ladder(1.0) for name in "abcdefgh"}, 0.0, 0)
    gains = {name: replace(FLAT, layer=name) for name in "abcdefgh"}
    found = [allocator_named("random", seed)(gains, costs, Limits(latency_ms=150.0)).ranks for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert all(140 < costs.latency_ms(ranks) <= 150 for ranks in found)


@settings(max_examples=120, deadline=None)
@given(problems())
def test_the_nearest_feasible_limits_are_feasible_and_no_nearer_ones_are(problem: Problem) -> None:
    gains, costs, limits = problem
    short = find_shortfall(costs, limits)
    some_fit = any(_keeps(ranks, costs, limits) for ranks in _every(costs))
    if short is None:
        assert some_fit
        return
    assert not any(_keeps(ranks, costs, limits, -1e-5) for ranks in _every(costs))
    assert short.raised
    assert fits(allocate_exact(gains, costs, short.nearest).ranks, costs, short.nearest)
    if len(short.raised) == 1:
        [raised] = short.raised
        nearer = replace(
            short.nearest, **{raised: type(getattr(limits, raised))(getattr(short.nearest, raised) * 0.99)}
        )
        assert not any(_keeps(ranks, costs, nearer, -1e-5) for ranks in _every(costs))


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
    row = {None: Cost(1.0, 3000), 8: Cost(3.0, 1000)}
    costs = CostTable({"a": row, "b": row}, 0.0, 0)
    gains = {name: GainCurve(name, {8: 1.0}, 1.0) for name in "ab"}
    assert allocate_greedy(gains, costs, Limits(4.0, 4000)).latency_ms == 4.0


@pytest.mark.parametrize("allocate", ALLOCATORS.values(), ids=ALLOCATORS)
def test_no_limit_leaves_every_layer_dense(allocate: Allocator) -> None:
    costs = CostTable({"a": {None: Cost(2.0, 400), 8: Cost(1.0, 100)}}, 0.0, 0)
    found = allocate({"a": GainCurve("a", {8: 0.5}, 1.0, {8: 0.9})}, costs, Limits())
    assert (found.ranks, found.gain, found.bound_gap) == ({"a": None}, 1.0, 0.0)


def test_the_peak_counts_the_largest_activations_not_their_sum() -> None:
    row = {None: Cost(1.0, 1000, 500), 8: Cost(1.0, 400, 700)}
    costs = CostTable({"a": row, "b": row}, 0.0, 0, base_peak_bytes=50.0, peak_per_byte=2.0)
    gains = {name: GainCurve(name, {8: 0.5}, 1.0) for name in "ab"}
    assert costs.peak_bytes({"a": None, "b": 8}) == 50 + 2 * 1400 + 700
    tight = allocate_exact(gains, costs, Limits(peak_bytes=50 + 2 * 1400 + 700))
    assert sorted(str(rank) for rank in tight.ranks.values()) == ["8", "None"]
    assert allocate_exact(gains, costs, Limits(peak_bytes=50 + 2 * 1400 + 699)).ranks == {"a": 8, "b": 8}


def test_the_solver_says_nothing_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    with silent_stdout():
        os.write(1, b"printed by a library")
    assert capfd.readouterr().out == ""


def test_two_hundred_layers_of_64_choices_under_three_budgets_are_proved_to_a_thousandth() -> None:
    draw = random.Random(0)
    gains, layers = {}, {}
    for name in map(str, range(200)):
        inputs, outputs, tokens = draw.randint(64, 2048), draw.randint(64, 2048), draw.randint(1, 200)
        ranks = [8 * step for step in range(1, 64)]
        rising = list(itertools.accumulate(draw.uniform(0.5, 1) * 0.95**step for step in range(64)))
        worth = 10 ** draw.uniform(-3, 1) / rising[-1]
        gains[name] = GainCurve(
            name, {rank: worth * each for rank, each in zip(ranks, rising, strict=False)}, worth * rising[-1]
        )
        stairs = {rank: math.ceil(rank / 64) * 64 * draw.uniform(0.97, 1.03) for rank in ranks}
        layers[name] = {
            rank: Cost(
                1e-8 * tokens * (inputs + outputs) * stairs.get(rank, 500),
                4 * (inputs + outputs) * (rank or 512),
                4 * tokens * (inputs + outputs + (rank or 0)),
            )
            for rank in (*ranks, None)
        }
    costs = CostTable(layers, 1.0, 10_000, base_peak_bytes=5e6, peak_per_byte=1.3)
    dense = dict.fromkeys(layers)
    limits = Limits(
        0.4 * costs.latency_ms(dense), int(0.4 * costs.size_bytes(dense)), int(0.4 * costs.peak_bytes(dense))
    )
    found = allocate_exact(gains, costs, limits)
    assert fits(found.ranks, costs, limits)
    assert 0 < found.bound_gap <= 1e-3


@st.composite
def problems_with_groups(draw: st.DrawFn) -> Problem:
    """Up to four layers of two ranks, and groups of channels that narrow some of them, for better or worse."""
    names = "abcd"[: draw(st.integers(2, 4))]
    amounts, times = st.floats(0, 10), st.floats(1e-3, 5)
    layers: dict[str, dict[int | None, Cost]] = {}
    for name in names:
        layers[name] = {rank: Cost(draw(times), draw(st.integers(4, 10**6))) for rank in (None, 8, 16)}
    excludes = {f"channels of {name}": (name, *names[place + 1 :][:1]) for place, name in enumerate(names[::2])}
    for group in excludes:
        cuts = {kept: Cost(draw(st.floats(-6, 1)), draw(st.integers(-(10**6), 0))) for kept in (4, 12)}
        layers[group] = {None: Cost(0.0, 0), **cuts}
    gains = {}
    for name, row in layers.items():
        small, large, dense = sorted(draw(st.tuples(amounts, amounts, amounts)))
        gains[name] = GainCurve(name, dict(zip([rank for rank in row if rank], (small, large), strict=True)), dense)
    costs = CostTable(layers, draw(st.floats(-2, 2)), draw(st.integers(0, 10**5)), excludes=excludes)
    limits = Limits(
        draw(st.none() | st.floats(0.05, 15)),
        draw(st.none() | st.integers(100, 3 * 10**6)),
        draw(st.none() | st.integers(100, 10**7)),
    )
    return gains, costs, limits


def _allowed(ranks: dict[str, int | None], costs: CostTable) -> bool:
    return not any(
        ranks[group] is not None and ranks[layer] is not None
        for group, layers in costs.excludes.items()
        for layer in layers
    )


@settings(max_examples=150, deadline=None)
@given(problems_with_groups())
def test_groups_of_channels_are_chosen_as_well_as_by_trying_everything(problem: Problem) -> None:
    gains, costs, limits = problem
    # Next to nothing left is a scale that the solver's tolerance cannot be a share of.
    assume(limits.latency_ms is None or abs(limits.latency_ms - costs.rest_latency_ms) > 1e-2)
    feasible = [ranks for ranks in _every(costs) if _allowed(ranks, costs) and fits(ranks, costs, limits)]
    roomier = replace(limits, latency_ms=limits.latency_ms and limits.latency_ms - 1e-3)
    roomier = replace(roomier, size_bytes=limits.size_bytes and limits.size_bytes - 50)
    roomier = replace(roomier, peak_bytes=limits.peak_bytes and limits.peak_bytes - 50)
    clearly = [_gain(ranks, gains) for ranks in feasible if fits(ranks, costs, roomier)]
    for allocate in (allocate_exact, allocate_greedy):
        try:
            found = allocate(gains, costs, limits)
        except BudgetError:
            assert not clearly
            continue
        assert found.ranks in feasible
        assert found.gain_bound >= max(_gain(ranks, gains) for ranks in feasible) * (1 - 1e-5) - 1e-5
        if allocate is allocate_exact and clearly:
            assert found.gain >= max(clearly) * (1 - 1e-5) - 1e-5


def test_a_layer_that_lost_channels_is_not_compact_as_well() -> None:
    layers: dict[str, dict[int | None, Cost]] = {name: {None: Cost(2.0, 0), 8: Cost(1.0, 0)} for name in "ab"}
    layers["channels of a"] = {None: Cost(0.0, 0), 4: Cost(-1.5, 0)}
    costs = CostTable(layers, 0.0, 0, excludes={"channels of a": ("a", "b")})
    gains = {name: GainCurve(name, {8: 1.0, 4: 1.0}, 2.0) for name in layers}
    assert not fits({"a": 8, "b": None, "channels of a": 4}, costs, Limits())
    # Cut alone saves most; both layers compact save more yet, and nothing saves more than that.
    assert allocate_exact(gains, costs, Limits(latency_ms=2.6)).ranks == {"a": None, "b": None, "channels of a": 4}
    assert allocate_exact(gains, costs, Limits(latency_ms=2.4)).ranks == {"a": 8, "b": 8, "channels of a": None}
    with pytest.raises(BudgetError, match="2 ms"):
        allocate_exact(gains, costs, Limits(latency_ms=1.9))


def test_gains_of_a_billionth_still_choose() -> None:
    costs = CostTable({name: {None: Cost(2.0, 1), 8: Cost(1.0, 1)} for name in "ab"}, 0.0, 0)
    gains = {"a": GainCurve("a", {8: 0.0}, 1e-9), "b": GainCurve("b", {8: 0.0}, 2e-9)}
    assert allocate_exact(gains, costs, Limits(latency_ms=3.0)).ranks == {"a": 8, "b": None}


def test_layers_worth_nothing_are_still_allocated() -> None:
    costs = CostTable({"a": {None: Cost(2.0, 1), 8: Cost(1.0, 1)}}, 0.0, 0)
    assert allocate_exact({"a": GainCurve("a", {8: 0.0}, 0.0)}, costs, Limits(latency_ms=1.0)).ranks == {"a": 8}


@pytest.mark.parametrize("seed", range(100))
def test_a_limit_just_below_what_some_choice_costs_is_kept(seed: int) -> None:
    # HiGHS accepts a constraint broken by 1e-6: asked only once, it oversteps in 9 of these 100 problems.
    draw = random.Random(seed)
    names = [str(index) for index in range(draw.choice([3, 6, 10]))]
    rows: dict[str, dict[int | None, Cost]] = {
        name: {None: Cost(draw.uniform(2e-3, 5e-3), 1), 8: Cost(draw.uniform(5e-4, 3e-3), 1)} for name in names
    }
    gains = {name: GainCurve(name, {8: draw.uniform(0.1, 0.9)}, 1.0) for name in names}
    costs = CostTable(rows, 0.0, 0)
    limit = costs.latency_ms({name: draw.choice([None, 8]) for name in names}) * (1 - draw.choice([1e-7, 1e-6, 1e-5]))
    with suppress(BudgetError):
        assert allocate_exact(gains, costs, Limits(latency_ms=limit)).latency_ms <= limit * (1 + 1e-9)
