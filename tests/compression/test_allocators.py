"""Both allocators keep every limit; the exact one is as good as trying everything, and says so with its bound."""

import itertools
import random
import re
from contextlib import suppress

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
)
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
        gains[name] = GainCurve(name, dict(zip(ranks, rising, strict=False)), rising[-1])
        layers[name] = {rank: Cost(draw(st.floats(1e-3, 5)), draw(st.integers(4, 10**6))) for rank in (None, *ranks)}
    costs = CostTable(layers, draw(st.floats(0, 2)), draw(st.integers(0, 10**5)), draw(st.floats(0.5, 2)))
    limits = Limits(
        draw(st.none() | st.floats(0.05, 30)),
        draw(st.none() | st.integers(10, 4 * 10**6)),
    )
    return gains, costs, limits


def _every(costs: CostTable) -> list[dict[str, int | None]]:
    return [
        dict(zip(costs.layers, choice, strict=True)) for choice in itertools.product(*map(list, costs.layers.values()))
    ]


def _keeps(ranks: dict[str, int | None], costs: CostTable, limits: Limits, slack: float = 1e-9) -> bool:
    return (limits.latency_ms is None or costs.latency_ms(ranks) <= limits.latency_ms * (1 + slack)) and (
        limits.size_bytes is None or costs.size_bytes(ranks) <= limits.size_bytes
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
@given(problems(), st.sampled_from(sorted(ALLOCATORS)))
def test_the_nearest_feasible_budget_of_a_refusal_is_feasible(problem: Problem, name: str) -> None:
    gains, costs, limits = problem
    allocate = ALLOCATORS[name]
    refusal = None
    for only in (Limits(latency_ms=limits.latency_ms), Limits(size_bytes=limits.size_bytes), limits):
        try:
            allocate(gains, costs, only)
        except BudgetError as error:
            refusal, refused = error, only
            break
    assume(refusal is not None)
    assert refusal is not None
    advice = str(refusal.next)
    if "--size " in advice and "--latency" not in advice:
        size = parse_bytes(advice.split("--size ")[1].rstrip("."))
        allocate(gains, costs, Limits(refused.latency_ms if refused is limits else None, size))
    else:
        median = re.search(r"planned median of ([0-9.e+-]+ ms)", advice)
        assert median, advice
        allocate(gains, costs, Limits(parse_milliseconds(median[1]), refused.size_bytes))


def test_greedy_finds_what_fits_both_limits_where_the_cheapest_in_sum_does_not() -> None:
    # Each layer is either fast and big or slow and small, at one spend: the first of each is 2 ms and 6 kB.
    row = {None: Cost(1.0, 3000), 8: Cost(3.0, 1000)}
    costs = CostTable({"a": row, "b": row}, 0.0, 0)
    gains = {name: GainCurve(name, {8: 1.0}, 1.0) for name in "ab"}
    assert allocate_greedy(gains, costs, Limits(4.0, 4000)).latency_ms == 4.0


@pytest.mark.parametrize("allocate", ALLOCATORS.values(), ids=ALLOCATORS)
def test_no_limit_leaves_every_layer_dense(allocate: Allocator) -> None:
    costs = CostTable({"a": {None: Cost(2.0, 400), 8: Cost(1.0, 100)}}, 0.0, 0)
    found = allocate({"a": GainCurve("a", {8: 0.5}, 1.0)}, costs, Limits())
    assert (found.ranks, found.gain, found.bound_gap) == ({"a": None}, 1.0, 0.0)


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
