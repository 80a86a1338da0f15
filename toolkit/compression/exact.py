"""The exact allocator: a multiple-choice knapsack solved by HiGHS, with its bound."""

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from toolkit.compression.allocation import (
    Allocation,
    Limits,
    describe,
    infeasible_together,
    require_feasible,
)
from toolkit.compression.costs import CostTable
from toolkit.compression.gains import GainCurve


def allocate_exact(gains: dict[str, GainCurve], costs: CostTable, limits: Limits) -> Allocation:
    """Maximise the summed gain under the limits (Kellerer et al. 2004, ch. 11), to the solver's tolerance.

    Raises BudgetError with the nearest feasible limit if nothing fits.
    """
    require_feasible(costs, limits)
    options = [(layer, rank) for layer, row in costs.layers.items() for rank in row]
    value = np.array([gains[layer].of(rank) for layer, rank in options])
    which = {layer: index for index, layer in enumerate(costs.layers)}
    one_each = csr_array(
        (np.ones(len(options)), ([which[layer] for layer, _ in options], np.arange(len(options)))),
        shape=(len(which), len(options)),
    )
    constraints = [LinearConstraint(one_each, 1, 1)]
    if limits.latency_ms is not None:
        latency = np.array([costs.layers[layer][rank].latency_ms for layer, rank in options])
        room = limits.latency_ms / costs.latency_scale - costs.rest_latency_ms
        constraints.append(LinearConstraint(latency[None], -np.inf, room))
    if limits.size_bytes is not None:
        size = np.array([costs.layers[layer][rank].weight_bytes for layer, rank in options], float)
        constraints.append(LinearConstraint(size[None] / 1e3, -np.inf, (limits.size_bytes - costs.rest_bytes) / 1e3))
    # Gains may be 1e-9 nats and curves flat to 1e-7 of their height: keep both above the solver's gap of 1e-6.
    scale = value.max() / 1e6 if value.max() > 0 else 1.0
    solved = milp(
        -value / scale,
        integrality=np.ones(len(options)),
        bounds=Bounds(0, 1),
        constraints=constraints,
        options={"mip_rel_gap": 0.0, "time_limit": 60},
    )
    if solved.x is None:
        raise infeasible_together()
    ranks = {layer: rank for (layer, rank), taken in zip(options, solved.x, strict=True) if taken > 0.5}
    bound = -solved.mip_dual_bound * scale
    return describe(ranks, gains, costs, float(bound))
