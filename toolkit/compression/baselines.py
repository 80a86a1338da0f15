"""Allocators to beat: they keep the limits, and know less than they could."""

import random
from bisect import bisect_left
from collections.abc import Iterable
from itertools import chain, pairwise

from toolkit.choice import DENSE, Choice, Selection, all_dense
from toolkit.compression.allocation import Allocation, Limits, describe, fits, spend
from toolkit.compression.costs import CostTable
from toolkit.compression.feasibility import infeasible
from toolkit.compression.gains import GainCurve
from toolkit.compression.greedy import cheapest
from toolkit.compression.knapsack import feasible
from toolkit.errors import BudgetError


def allocate_uniform(gains: dict[str, GainCurve], costs: CostTable, limits: Limits) -> Allocation:
    """One ratio for all layers: each at the largest rank within that share of its largest; the largest ratio that fits.

    A layer that is never compact stays dense. Raises BudgetError if no ratio fits.
    """
    ladders = {part: _smaller(row) for part, row in costs.parts.items()}
    ratios = sorted({_ratio(each, ladder) for ladder in ladders.values() for each in ladder}, reverse=True)
    for choices in chain([all_dense(costs.parts)], (_at_ratio(ladders, ratio) for ratio in ratios)):
        if fits(choices, costs, limits):
            return describe(choices, gains, costs)
    raise _refused("no single ratio", costs, limits)


def allocate_magnitude(gains: dict[str, GainCurve], costs: CostTable, limits: Limits) -> Allocation:
    """One threshold for all layers on the weight's energy per cost: the lowest that fits.

    A layer grows from its smallest rank for as long as the next step brings at least the threshold; after a step that
    brings less it stops. Raises BudgetError if no threshold fits.
    """
    ladders = {layer: [*_smaller(row), DENSE] for layer, row in costs.parts.items()}
    owes = {layer: _owes(gains[layer], ladder, costs, limits, layer) for layer, ladder in ladders.items()}
    for threshold in [-1.0, *sorted({-each for steps in owes.values() for each in steps}), float("inf")]:
        choices = Selection({layer: ladders[layer][bisect_left(steps, -threshold)] for layer, steps in owes.items()})
        if fits(choices, costs, limits):
            return describe(choices, gains, costs)
    raise _refused("no threshold of magnitude", costs, limits)


def allocate_random(gains: dict[str, GainCurve], costs: CostTable, limits: Limits, seed: int = 0) -> Allocation:
    """Any choice of each layer; those over the limits made cheaper and the rest made larger, one by one, at random.

    Raises BudgetError if nothing fits.
    """
    draw = random.Random(seed)
    chosen = {part: draw.choice(list(row)) for part, row in costs.parts.items()}
    least = cheapest(costs, limits)
    for part in draw.sample(list(chosen), len(chosen)):
        if fits(chosen, costs, limits):
            break
        chosen[part] = least[part]
    steps = [(part, choice) for part, row in costs.parts.items() for choice in row]
    for part, choice in draw.sample(steps, len(steps)):
        larger = spend(costs, limits, part, choice) > spend(costs, limits, part, chosen[part])
        if larger and fits({**chosen, part: choice}, costs, limits):
            chosen[part] = choice
    return describe(chosen, gains, costs)


def _smaller(row: Iterable[Choice]) -> list[Choice]:
    """What is offered besides dense, the smallest first."""
    return sorted((each for each in row if each != DENSE), key=_size)


def _size(choice: Choice) -> int:
    return choice.size or 0


def _ratio(choice: Choice, ladder: list[Choice]) -> float:
    return _size(choice) / _size(ladder[-1])


def _at_ratio(ladders: dict[str, list[Choice]], ratio: float) -> Selection:
    def largest(ladder: list[Choice]) -> Choice:
        within = [each for each in ladder if _size(each) <= ratio * _size(ladder[-1]) + 1e-9]
        return (within[-1] if within else ladder[0]) if ladder else DENSE

    return Selection({part: largest(ladder) for part, ladder in ladders.items()})


def _owes(curve: GainCurve, ladder: list[Choice], costs: CostTable, limits: Limits, layer: str) -> list[float]:
    """Energy per cost of each step up the ladder, never more than that of the step below; negated, so that it rises."""
    owes: list[float] = []
    for below, above in pairwise(ladder):
        gained = _energy(curve, above) - _energy(curve, below)
        spent = spend(costs, limits, layer, above) - spend(costs, limits, layer, below)
        paid = gained / spent if spent > 0 else float("inf")
        owes.append(max(-paid, owes[-1]) if owes else -paid)
    return owes


def _energy(curve: GainCurve, choice: Choice) -> float:
    return 1.0 if choice == DENSE else curve.energy[choice]


def _refused(what: str, costs: CostTable, limits: Limits) -> BudgetError:
    if feasible(costs, limits) is None:
        return infeasible(costs, limits)
    return BudgetError(f"{what} for all layers fits the budget", where="budget", next="Choose allocator exact.")
