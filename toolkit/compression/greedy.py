"""The greedy allocator of JACTUS: grow the part with the highest marginal gain per cost until nothing fits.

The paper counts parameters as cost; here cost is the share of each limited resource that a step consumes, so that
measured milliseconds decide where latency is limited.
"""

from collections.abc import Mapping
from functools import partial

from toolkit.choice import Choice, Selection
from toolkit.compression.allocation import Allocation, Limits, describe, fits, spend
from toolkit.compression.costs import CostTable
from toolkit.compression.feasibility import infeasible
from toolkit.compression.gains import GainCurve
from toolkit.compression.knapsack import feasible


def allocate_greedy(gains: dict[str, GainCurve], costs: CostTable, limits: Limits) -> Allocation:
    """Start from the cheapest choice of each part; take the best-paying step that still fits, until none is left.

    The bound is the gain of leaving every part dense. Raises BudgetError if nothing fits.
    """
    chosen = grow(cheapest(costs, limits), gains, costs, limits, dict.fromkeys(costs.parts, 1.0))
    return describe(chosen, gains, costs)


def grow(
    chosen: Selection, gains: dict[str, GainCurve], costs: CostTable, limits: Limits, prices: Mapping[str, float]
) -> Selection:
    """Those choices with the best-paying steps that still fit, one by one; a part's price multiplies its costs."""
    while True:
        best: tuple[float, str, Choice] | None = None
        for part, row in costs.parts.items():
            now = chosen[part]
            for choice in row:
                gained = gains[part].of(choice) - gains[part].of(now)
                if gained <= 0 or not fits(chosen.but({part: choice}), costs, limits):
                    continue
                spent = prices[part] * (spend(costs, limits, part, choice) - spend(costs, limits, part, now))
                pays = gained / spent if spent > 0 else float("inf")
                if best is None or pays > best[0]:
                    best = (pays, part, choice)
        if best is None:
            return chosen
        chosen = chosen.but({best[1]: best[2]})


def cheapest(costs: CostTable, limits: Limits) -> Selection:
    """The cheapest choice of each part, or, as cheap in sum is not cheap in each, some choices that fit.

    Raises BudgetError if nothing fits.
    """
    chosen = Selection({part: min(row, key=partial(spend, costs, limits, part)) for part, row in costs.parts.items()})
    if fits(chosen, costs, limits):
        return chosen
    some = feasible(costs, limits)
    if some is None:
        raise infeasible(costs, limits)
    return some
