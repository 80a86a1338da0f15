"""The greedy allocator of JACTUS: grow the layer with the highest marginal gain per cost until nothing fits.

The paper counts parameters as cost; here cost is the share of each limited resource that a step consumes, so that
measured milliseconds decide where latency is limited.
"""

from collections.abc import Mapping

from toolkit.compression.allocation import Allocation, Limits, describe, fits, spend
from toolkit.compression.costs import CostTable
from toolkit.compression.feasibility import infeasible
from toolkit.compression.gains import GainCurve
from toolkit.compression.knapsack import Ranks, feasible


def allocate_greedy(gains: dict[str, GainCurve], costs: CostTable, limits: Limits) -> Allocation:
    """Start from the cheapest choice of each layer; take the best-paying step that still fits, until none is left.

    The bound is the gain of leaving every layer dense. Raises BudgetError if nothing fits.
    """
    ranks = grow(cheapest(costs, limits), gains, costs, limits, dict.fromkeys(costs.layers, 1.0))
    return describe(ranks, gains, costs)


def grow(
    ranks: Ranks, gains: dict[str, GainCurve], costs: CostTable, limits: Limits, prices: Mapping[str, float]
) -> Ranks:
    """Those choices with the best-paying steps that still fit, one by one; a layer's price multiplies its costs."""
    while True:
        best: tuple[float, str, int | None] | None = None
        for layer, row in costs.layers.items():
            now = ranks[layer]
            for rank in row:
                gained = gains[layer].of(rank) - gains[layer].of(now)
                if gained <= 0 or not fits({**ranks, layer: rank}, costs, limits):
                    continue
                spent = prices[layer] * (spend(costs, limits, layer, rank) - spend(costs, limits, layer, now))
                pays = gained / spent if spent > 0 else float("inf")
                if best is None or pays > best[0]:
                    best = (pays, layer, rank)
        if best is None:
            return ranks
        ranks = {**ranks, best[1]: best[2]}


def cheapest(costs: CostTable, limits: Limits) -> Ranks:
    """The cheapest choice of each layer, or, as cheap in sum is not cheap in each, some choices that fit.

    Raises BudgetError if nothing fits.
    """
    ranks = {layer: min(row, key=lambda rank: spend(costs, limits, layer, rank)) for layer, row in costs.layers.items()}
    if fits(ranks, costs, limits):
        return ranks
    some = feasible(costs, limits)
    if some is None:
        raise infeasible(costs, limits)
    return some
