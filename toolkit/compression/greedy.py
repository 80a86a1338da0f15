"""The greedy allocator of JACTUS: grow the layer with the highest marginal gain per cost until nothing fits.

The paper counts parameters as cost; here cost is the share of each limited resource that a step consumes, so that
measured milliseconds decide where latency is limited.
"""

from toolkit.compression.allocation import (
    Allocation,
    Limits,
    describe,
    fits,
    infeasible_together,
    require_feasible,
)
from toolkit.compression.costs import CostTable
from toolkit.compression.gains import GainCurve
from toolkit.compression.knapsack import fastest_within


def allocate_greedy(gains: dict[str, GainCurve], costs: CostTable, limits: Limits) -> Allocation:
    """Start from the cheapest choice of each layer; take the best-paying step that still fits, until none is left.

    The bound is the gain of leaving every layer dense. Raises BudgetError if nothing fits.
    """
    require_feasible(costs, limits)
    ranks = {
        layer: min(row, key=lambda rank: _spend(costs, limits, layer, rank)) for layer, row in costs.layers.items()
    }
    if not fits(ranks, costs, limits):
        # Cheap in sum is not cheap in each: where two limits bind, start from the fastest of that size.
        start = fastest_within(costs, limits.size_bytes)
        if start is None or not fits(start, costs, limits):
            raise infeasible_together(costs, start)
        ranks = start
    while True:
        best: tuple[float, str, int | None] | None = None
        for layer, row in costs.layers.items():
            now = ranks[layer]
            for rank in row:
                gained = gains[layer].of(rank) - gains[layer].of(now)
                if gained <= 0 or not fits({**ranks, layer: rank}, costs, limits):
                    continue
                spent = _spend(costs, limits, layer, rank) - _spend(costs, limits, layer, now)
                pays = gained / spent if spent > 0 else float("inf")
                if best is None or pays > best[0]:
                    best = (pays, layer, rank)
        if best is None:
            return describe(ranks, gains, costs, sum(curve.dense for curve in gains.values()))
        ranks[best[1]] = best[2]


def _spend(costs: CostTable, limits: Limits, layer: str, rank: int | None) -> float:
    """The choice's share of the limited resources; with no limit, its bytes."""
    cost = costs.layers[layer][rank]
    shares = []
    if limits.latency_ms is not None:
        shares.append(cost.latency_ms * costs.latency_scale / limits.latency_ms)
    if limits.size_bytes is not None:
        shares.append(cost.weight_bytes / limits.size_bytes)
    return sum(shares) if shares else float(cost.weight_bytes)
