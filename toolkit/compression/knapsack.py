"""One choice a layer under limits: a multiple-choice knapsack (Kellerer et al. 2004, ch. 11), solved by HiGHS."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import csr_array

from toolkit.compression.allocation import Limits, fits
from toolkit.compression.costs import CostTable

# The solver may overstep a constraint by a millionth; where it does, it is asked again with that much less room.
_TOLERANCE = 2e-6


def most_worth(
    worth: Callable[[str, int | None], float], costs: CostTable, limits: Limits
) -> tuple[dict[str, int | None], float] | None:
    """The choices of the largest summed worth within the limits, to a relative gap of 1e-6, and a bound on any sum.

    None if nothing fits.
    """
    options = [(layer, rank) for layer, row in costs.layers.items() for rank in row]
    value = np.array([worth(layer, rank) for layer, rank in options])
    scale = float(abs(value).max()) or 1.0  # worths may be 1e-9: keep them above the solver's tolerances
    solved = _solve(-value / scale, options, costs, limits, 1.0)
    if solved.x is None:
        return None
    bound = -float(solved.mip_dual_bound) * scale
    ranks = _taken(solved, options)
    if not fits(ranks, costs, limits):
        solved = _solve(-value / scale, options, costs, limits, 1 - _TOLERANCE)
        if solved.x is None:
            return None
        ranks = _taken(solved, options)
    return ranks, bound


def fastest_within(costs: CostTable, size_bytes: int | None) -> dict[str, int | None] | None:
    """The fastest choices of at most that size; None if none is that small."""
    best = most_worth(lambda layer, rank: -costs.layers[layer][rank].latency_ms, costs, Limits(size_bytes=size_bytes))
    return best[0] if best else None


def _solve(
    objective: np.ndarray, options: list[tuple[str, int | None]], costs: CostTable, limits: Limits, share: float
) -> OptimizeResult:
    which = {layer: index for index, layer in enumerate(costs.layers)}
    one_each = csr_array(
        (np.ones(len(options)), ([which[layer] for layer, _ in options], np.arange(len(options)))),
        shape=(len(which), len(options)),
    )
    constraints = [LinearConstraint(one_each, 1, 1)]
    if limits.latency_ms is not None:
        latency = [costs.layers[layer][rank].latency_ms for layer, rank in options]
        room = limits.latency_ms / costs.latency_scale - costs.rest_latency_ms
        constraints.append(_within(latency, room, share))
    if limits.size_bytes is not None:
        size = [float(costs.layers[layer][rank].weight_bytes) for layer, rank in options]
        constraints.append(_within(size, limits.size_bytes - costs.rest_bytes, share))
    return milp(
        objective,
        integrality=np.ones(len(options)),
        bounds=Bounds(0, 1),
        constraints=constraints,
        options={"mip_rel_gap": 1e-6, "time_limit": 60},
    )


def _within(spent: list[float], room: float, share: float) -> LinearConstraint:
    """In shares of the room, which the solver's absolute tolerance then is one of."""
    unit = room if room > 0 else 1.0
    return LinearConstraint(np.array(spent)[None] / unit, -np.inf, share * room / unit)


def _taken(solved: OptimizeResult, options: list[tuple[str, int | None]]) -> dict[str, int | None]:
    return {layer: rank for (layer, rank), taken in zip(options, solved.x, strict=True) if taken > 0.5}
