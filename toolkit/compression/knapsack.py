"""One choice a layer under limits: a multiple-choice knapsack (Kellerer et al. 2004, ch. 11), solved by HiGHS.

Latency and bytes add up. The peak is a sum and a maximum: one continuous variable stands for the largest activations,
and each layer's choice stays below it. A group of channels is one more row; a layer that it narrows is dense where any
of them go: `dense >= sum of the group's cuts`. A few hundred layers are solved through the relaxation: its reduced
costs say which choices can be part of anything better than what is known, and only those are given to branch and bound
(ch. 11.4: at most as many layers are split as there are limits, so few are).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, vstack

from toolkit.compression.allocation import Limits, fits
from toolkit.compression.costs import CostTable
from toolkit.compression.silence import silent_stdout

Ranks = dict[str, int | None]
Resource = Literal["latency_ms", "size_bytes", "peak_bytes"]

# The solver may overstep a constraint by a millionth; where it does, it is asked again with that much less room.
_TOLERANCE = 2e-6
# Choices of a layer, the best by reduced cost, among which a first solution is sought.
_CORE = 4
# Relative gaps at which a search ends: a few layers are solved to the end, hundreds to a proof that is close enough.
_GAP, _CLOSE, _FEW = 1e-6, 5e-4, 2000
_SECONDS = 10.0


@dataclass(frozen=True)
class _Problem:
    """Minimise `cost @ x`: one column a choice, and a last one for the largest activations where they count."""

    options: list[tuple[str, int | None]]
    cost: np.ndarray
    one_each: csr_array
    within: csr_array
    room: np.ndarray


def most_worth(
    worth: Callable[[str, int | None], float], costs: CostTable, limits: Limits
) -> tuple[Ranks, float] | None:
    """The choices of the largest summed worth within the limits, and a bound on any sum. None if nothing fits."""
    options = _options(costs)
    value = np.array([worth(layer, rank) for layer, rank in options])
    scale = float(abs(value).max()) or 1.0  # worths may be 1e-9: keep them above the solver's tolerances
    solved = _solve(-value / scale, 0.0, costs, limits)
    return None if solved is None else (solved[0], -solved[1] * scale)


def least(resource: Resource, costs: CostTable, limits: Limits) -> Ranks | None:
    """The choices within the limits that take least of one resource; None if nothing fits."""
    rows = [costs.layers[layer][rank] for layer, rank in _options(costs)]
    largest = 0.0
    if resource == "latency_ms":
        spent = np.array([cost.latency_ms for cost in rows])
    else:
        spent = np.array([float(cost.weight_bytes) for cost in rows])
    if resource == "peak_bytes":
        spent, largest = spent * costs.peak_per_byte, float(max(cost.activation_bytes for cost in rows))
    scale = max(float(abs(spent).max()), largest) or 1.0
    solved = _solve(spent / scale, largest / scale, costs, limits)
    return None if solved is None else solved[0]


def feasible(costs: CostTable, limits: Limits) -> Ranks | None:
    """Choices within the limits, the fastest; None if nothing fits."""
    return least("latency_ms", costs, limits)


def _solve(cost: np.ndarray, largest: float, costs: CostTable, limits: Limits) -> tuple[Ranks, float] | None:
    """Choices of the least cost, and a bound below any; `largest` is the price of the largest activations there are."""
    bound = -np.inf
    for slack in (0.0, _TOLERANCE):
        problem = _problem(cost, largest, costs, limits, slack)
        solved = _branch_near_relaxation(problem)
        if solved is None:
            return None
        x, bound = solved[0], solved[1] if slack == 0.0 else bound
        ranks = {layer: rank for (layer, rank), taken in zip(problem.options, x, strict=False) if taken > 0.5}
        if fits(ranks, costs, limits):
            return ranks, bound
    return None


def _branch_near_relaxation(problem: _Problem) -> tuple[np.ndarray, float] | None:
    relaxed = linprog(
        problem.cost, problem.within, problem.room, problem.one_each, np.ones(problem.one_each.shape[0]), method="highs"
    )
    if relaxed.x is None:
        return None
    bound, reduced = float(relaxed.fun), relaxed.lower.marginals
    core = _best_each(problem, reduced)
    found = _branch(problem, core)
    if found is not None and (core.all() or found[0] - bound <= _gap(problem) * abs(bound)):
        return found[2], max(bound, found[1]) if core.all() else bound
    # Whatever beats what was found takes no choice whose reduced cost alone is more than the difference.
    keep = np.ones(len(core), bool) if found is None else core | (reduced <= found[0] - bound)
    better = _branch(problem, keep)
    if better is None:
        return None if found is None else (found[2], bound)
    best = min((each for each in (found, better) if each is not None), key=lambda each: each[0])
    return best[2], max(bound, min(better[1], best[0]))


def _branch(problem: _Problem, keep: np.ndarray) -> tuple[float, float, np.ndarray] | None:
    """Cost, bound and x of the best choices among those columns."""
    columns = np.flatnonzero(keep)
    count = len(problem.options)
    constraints = [LinearConstraint(problem.one_each[:, columns], 1, 1)]
    if problem.within.shape[0]:
        constraints.append(LinearConstraint(problem.within[:, columns], -np.inf, problem.room))
    with silent_stdout():  # HiGHS prints where it mends a solution, whatever `disp` says
        solved = milp(
            problem.cost[columns],
            integrality=(columns < count).astype(float),
            bounds=Bounds(0, 1),
            constraints=constraints,
            options={"mip_rel_gap": _gap(problem), "time_limit": _SECONDS},
        )
    if solved.x is None:
        return None
    x = np.zeros(len(keep))
    x[columns] = solved.x
    return float(solved.fun), float(solved.mip_dual_bound), x


def _gap(problem: _Problem) -> float:
    return _GAP if len(problem.options) <= _FEW else _CLOSE


def _best_each(problem: _Problem, reduced: np.ndarray) -> np.ndarray:
    """Each layer's choices of the least reduced cost, and the column that is no choice."""
    core = np.zeros(len(reduced), bool)
    core[len(problem.options) :] = True
    for row in range(problem.one_each.shape[0]):
        columns = problem.one_each.indices[problem.one_each.indptr[row] : problem.one_each.indptr[row + 1]]
        core[columns[np.argsort(reduced[columns])[:_CORE]]] = True
    return core


def _problem(cost: np.ndarray, largest: float, costs: CostTable, limits: Limits, slack: float) -> _Problem:
    options = _options(costs)
    which = {layer: index for index, layer in enumerate(costs.layers)}
    rows = np.array([which[layer] for layer, _ in options])
    chosen = [costs.layers[layer][rank] for layer, rank in options]
    size = np.array([float(each.weight_bytes) for each in chosen])
    held = np.array([float(each.activation_bytes) for each in chosen])
    unit = float(held.max(initial=0)) or 1.0
    peaks = limits.peak_bytes is not None or largest > 0
    columns = len(options) + peaks
    within, room = [], []

    def limit(spent: np.ndarray, left: float) -> None:
        """In shares of what is left, which the solver's absolute tolerance then is one of; it may be less than zero."""
        row, scale = np.zeros((1, columns)), abs(left) or 1.0
        row[0, : len(spent)] = spent / scale
        within.append(csr_array(row))
        room.append(left / scale - slack)

    if limits.latency_ms is not None:
        limit(np.array([each.latency_ms for each in chosen]), limits.latency_ms - costs.rest_latency_ms)
    if limits.size_bytes is not None:
        limit(size, float(limits.size_bytes - costs.rest_bytes))
    if limits.peak_bytes is not None:
        left = limits.peak_bytes - costs.base_peak_bytes - costs.peak_per_byte * costs.rest_bytes
        limit(np.append(costs.peak_per_byte * size, unit), left)
    place = {option: column for column, option in enumerate(options)}
    for group, layers in costs.excludes.items():
        kept = [place[group, count] for count in costs.layers[group] if count is not None]
        for layer in layers:
            row = csr_array(
                (np.append(np.ones(len(kept)), -1.0), (np.zeros(len(kept) + 1, int), [*kept, place[layer, None]])),
                shape=(1, columns),
            )
            within.append(row)
            room.append(0.0)
    if peaks:  # each layer's choice holds no more than the largest
        entries = np.append(held / unit, -np.ones(len(which)))
        places = np.append(rows, np.arange(len(which))), np.append(np.arange(len(options)), [len(options)] * len(which))
        within.append(csr_array((entries, places), shape=(len(which), columns)))
        room += [0.0] * len(which)
    return _Problem(
        options=options,
        cost=np.append(cost, largest) if peaks else cost,
        one_each=csr_array((np.ones(len(options)), (rows, np.arange(len(options)))), shape=(len(which), columns)),
        within=vstack(within, format="csr") if within else csr_array((0, columns)),
        room=np.array(room),
    )


def _options(costs: CostTable) -> list[tuple[str, int | None]]:
    return [(layer, rank) for layer, row in costs.layers.items() for rank in row]
