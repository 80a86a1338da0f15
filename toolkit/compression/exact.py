"""The exact allocator: a multiple-choice knapsack, with its bound."""

from toolkit.compression.allocation import Allocation, Limits, describe, fits, infeasible_together, require_feasible
from toolkit.compression.costs import CostTable
from toolkit.compression.gains import GainCurve
from toolkit.compression.knapsack import fastest_within, most_worth


def allocate_exact(gains: dict[str, GainCurve], costs: CostTable, limits: Limits) -> Allocation:
    """Maximise the summed gain under the limits, to a relative gap of 1e-6.

    Raises BudgetError with the nearest feasible limit if nothing fits.
    """
    require_feasible(costs, limits)
    dense: dict[str, int | None] = dict.fromkeys(costs.layers)
    if fits(dense, costs, limits):  # a large rank is worth the same to seven digits: do not let the solver choose it
        return describe(dense, gains, costs, gain_bound=0.0)
    best = most_worth(lambda layer, rank: gains[layer].of(rank), costs, limits)
    if best is None:
        raise infeasible_together(costs, fastest_within(costs, limits.size_bytes))
    ranks, bound = best
    return describe(ranks, gains, costs, bound)
