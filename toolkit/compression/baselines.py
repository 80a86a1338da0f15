"""Allocators to beat: they keep the limits, and know less than they could."""

import random
from bisect import bisect_left
from itertools import chain, pairwise

from toolkit.compression.allocation import Allocation, Limits, describe, fits, spend
from toolkit.compression.costs import CostTable
from toolkit.compression.feasibility import infeasible
from toolkit.compression.gains import GainCurve
from toolkit.compression.greedy import cheapest
from toolkit.compression.knapsack import Ranks, feasible
from toolkit.errors import BudgetError


def allocate_uniform(gains: dict[str, GainCurve], costs: CostTable, limits: Limits) -> Allocation:
    """One ratio for all layers: each at the largest rank within that share of its largest; the largest ratio that fits.

    A layer that is never compact stays dense. Raises BudgetError if no ratio fits.
    """
    dense: Ranks = dict.fromkeys(costs.layers)
    ranks_of = {layer: sorted(rank for rank in row if rank is not None) for layer, row in costs.layers.items()}
    ratios = sorted({rank / ranks[-1] for ranks in ranks_of.values() for rank in ranks}, reverse=True)
    for choices in chain([dense], (_at_ratio(ranks_of, ratio) for ratio in ratios)):
        if fits(choices, costs, limits):
            return describe(choices, gains, costs)
    raise _refused("no single ratio", costs, limits)


def allocate_magnitude(gains: dict[str, GainCurve], costs: CostTable, limits: Limits) -> Allocation:
    """One threshold for all layers on the weight's energy per cost: the lowest that fits.

    A layer grows from its smallest rank for as long as the next step brings at least the threshold; after a step that
    brings less it stops. Raises BudgetError if no threshold fits.
    """
    ladders = {layer: [*sorted(rank for rank in row if rank is not None), None] for layer, row in costs.layers.items()}
    owes = {layer: _owes(gains[layer], ladder, costs, limits, layer) for layer, ladder in ladders.items()}
    for threshold in [-1.0, *sorted({-each for steps in owes.values() for each in steps}), float("inf")]:
        choices = {layer: ladders[layer][bisect_left(steps, -threshold)] for layer, steps in owes.items()}
        if fits(choices, costs, limits):
            return describe(choices, gains, costs)
    raise _refused("no threshold of magnitude", costs, limits)


def allocate_random(gains: dict[str, GainCurve], costs: CostTable, limits: Limits, seed: int = 0) -> Allocation:
    """Any choice of each layer; those over the limits made cheaper and the rest made larger, one by one, at random.

    Raises BudgetError if nothing fits.
    """
    draw = random.Random(seed)
    ranks: Ranks = {layer: draw.choice(list(row)) for layer, row in costs.layers.items()}
    least = cheapest(costs, limits)
    for layer in draw.sample(list(ranks), len(ranks)):
        if fits(ranks, costs, limits):
            break
        ranks[layer] = least[layer]
    steps = [(layer, rank) for layer, row in costs.layers.items() for rank in row]
    for layer, rank in draw.sample(steps, len(steps)):
        larger = spend(costs, limits, layer, rank) > spend(costs, limits, layer, ranks[layer])
        if larger and fits({**ranks, layer: rank}, costs, limits):
            ranks[layer] = rank
    return describe(ranks, gains, costs)


def _at_ratio(ranks_of: dict[str, list[int]], ratio: float) -> Ranks:
    return {
        layer: max((rank for rank in ranks if rank <= ratio * ranks[-1] + 1e-9), default=ranks[0]) if ranks else None
        for layer, ranks in ranks_of.items()
    }


def _owes(curve: GainCurve, ladder: list[int | None], costs: CostTable, limits: Limits, layer: str) -> list[float]:
    """Energy per cost of each step up the ladder, never more than that of the step below; negated, so that it rises."""
    owes: list[float] = []
    for below, above in pairwise(ladder):
        gained = (1.0 if above is None else curve.energy[above]) - (1.0 if below is None else curve.energy[below])
        spent = spend(costs, limits, layer, above) - spend(costs, limits, layer, below)
        paid = gained / spent if spent > 0 else float("inf")
        owes.append(max(-paid, owes[-1]) if owes else -paid)
    return owes


def _refused(what: str, costs: CostTable, limits: Limits) -> BudgetError:
    if feasible(costs, limits) is None:
        return infeasible(costs, limits)
    return BudgetError(f"{what} for all layers fits the budget", where="budget", next="Choose allocator exact.")
