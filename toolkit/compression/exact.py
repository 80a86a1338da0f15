"""The exact allocator: a multiple-choice knapsack, with its bound."""

from toolkit.choice import all_dense
from toolkit.compression.allocation import Allocation, Limits, describe, fits
from toolkit.compression.costs import CostTable
from toolkit.compression.feasibility import infeasible
from toolkit.compression.gains import GainCurve
from toolkit.compression.knapsack import most_worth


def allocate_exact(gains: dict[str, GainCurve], costs: CostTable, limits: Limits) -> Allocation:
    """Maximise the summed gain under the limits, with a proof of how far from the best that can be.

    Raises BudgetError with the nearest feasible limits if nothing fits.
    """
    dense = all_dense(costs.parts)
    if fits(dense, costs, limits):  # a large rank is worth the same to seven digits: do not let the solver choose it
        return describe(dense, gains, costs, gain_bound=0.0)
    best = most_worth(lambda part, choice: gains[part].of(choice), costs, limits)
    if best is None:
        raise infeasible(costs, limits)
    chosen, bound = best
    return describe(chosen, gains, costs, bound)
