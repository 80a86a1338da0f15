"""One choice a part under limits: a multiple-choice knapsack (Kellerer et al. 2004, ch. 11), solved by HiGHS.

Latency and bytes add up. The peak is a sum and a maximum: one continuous variable stands for the largest activations,
and each part's choice stays below it. Of two choices that conflict one is taken at most. What stands between two parts
costs where both choices are taken: a column of its own is at least the sum of both less one. A few hundred parts are
solved through the relaxation: its reduced costs say which choices can be part of anything better than what is known,
and only those are given to branch and bound (ch. 11.4: no more parts are split than there are limits, so few are).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, vstack

from toolkit.choice import Choice, Selection
from toolkit.compression.allocation import Limits, fits
from toolkit.compression.costs import CostTable, Pair
from toolkit.compression.silence import silent_stdout

Resource = Literal["latency_ms", "size_bytes", "peak_bytes"]

# The solver may overstep a constraint by a millionth; where it does, it is asked again with that much less room.
_TOLERANCE = 2e-6
# Choices of a part, the best by reduced cost, among which a first solution is sought.
_CORE = 4
# Relative gaps at which a search ends: a few parts are solved to the end, hundreds to a proof that is close enough.
_GAP, _CLOSE, _FEW = 1e-6, 5e-4, 2000
_SECONDS = 10.0


@dataclass(frozen=True)
class _Problem:
    """Minimise `cost @ x`: one column a choice, one a pair that costs, and a last one for the largest activations.

    The last is there only where they count.
    """

    options: list[tuple[str, Choice]]
    cost: np.ndarray
    one_each: csr_array
    within: csr_array
    room: np.ndarray


@dataclass(frozen=True)
class _Price:
    """What is to be least: of each choice, of each pair that costs, and of the largest activations there are."""

    choices: np.ndarray
    pairs: np.ndarray
    largest: float = 0.0


def most_worth(
    worth: Callable[[str, Choice], float], costs: CostTable, limits: Limits
) -> tuple[Selection, float] | None:
    """The choices of the largest summed worth within the limits, and a bound on any sum. None if nothing fits."""
    options = _options(costs)
    value = np.array([worth(part, choice) for part, choice in options])
    scale = float(abs(value).max()) or 1.0  # worths may be 1e-9: keep them above the solver's tolerances
    solved = _solve(_Price(-value / scale, np.zeros(len(costs.between))), costs, limits)
    return None if solved is None else (solved[0], -solved[1] * scale)


def least(resource: Resource, costs: CostTable, limits: Limits) -> Selection | None:
    """The choices within the limits that take least of one resource; None if nothing fits."""
    rows = [costs.parts[part][choice] for part, choice in _options(costs)]
    pairs, largest = np.zeros(len(costs.between)), 0.0
    if resource == "latency_ms":
        spent = np.array([cost.latency_ms for cost in rows])
        pairs = np.array([ms for _, ms in costs.between])
    else:
        spent = np.array([float(cost.weight_bytes) for cost in rows])
    if resource == "peak_bytes":
        spent, largest = spent * costs.peak_per_byte, float(max(cost.activation_bytes for cost in rows))
    scale = max(float(abs(spent).max()), largest) or 1.0
    solved = _solve(_Price(spent / scale, pairs / scale, largest / scale), costs, limits)
    return None if solved is None else solved[0]


def feasible(costs: CostTable, limits: Limits) -> Selection | None:
    """Choices within the limits, the fastest; None if nothing fits."""
    return least("latency_ms", costs, limits)


def _solve(price: _Price, costs: CostTable, limits: Limits) -> tuple[Selection, float] | None:
    """Choices of the least price, and a bound below any."""
    bound = -np.inf
    for slack in (0.0, _TOLERANCE):
        problem = _problem(price, costs, limits, slack)
        solved = _branch_near_relaxation(problem)
        if solved is None:
            return None
        x, bound = solved[0], solved[1] if slack == 0.0 else bound
        chosen = {part: choice for (part, choice), taken in zip(problem.options, x, strict=False) if taken > 0.5}
        if fits(chosen, costs, limits):
            return Selection(chosen), bound
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
    """Each part's choices of the least reduced cost, and the columns that are no choice."""
    core = np.zeros(len(reduced), bool)
    core[len(problem.options) :] = True
    for row in range(problem.one_each.shape[0]):
        columns = problem.one_each.indices[problem.one_each.indptr[row] : problem.one_each.indptr[row + 1]]
        core[columns[np.argsort(reduced[columns])[:_CORE]]] = True
    return core


def _problem(price: _Price, costs: CostTable, limits: Limits, slack: float) -> _Problem:
    options = _options(costs)
    which = {part: index for index, part in enumerate(costs.parts)}
    rows = np.array([which[part] for part, _ in options])
    chosen = [costs.parts[part][choice] for part, choice in options]
    size = np.array([float(each.weight_bytes) for each in chosen])
    held = np.array([float(each.activation_bytes) for each in chosen])
    unit = float(held.max(initial=0)) or 1.0
    peaks = limits.peak_bytes is not None or price.largest > 0
    pairs = np.arange(len(options), len(options) + len(costs.between))
    columns = len(options) + len(pairs) + peaks
    within, room = [], []

    def limit(spent: np.ndarray, left: float) -> None:
        """In shares of what is left, which the solver's absolute tolerance then is one of; it may be less than zero."""
        row, scale = np.zeros((1, columns)), abs(left) or 1.0
        row[0, : len(spent)] = spent / scale
        within.append(csr_array(row))
        room.append(left / scale - slack)

    if limits.latency_ms is not None:
        between_ms = [ms for _, ms in costs.between]
        limit(np.array([*(each.latency_ms for each in chosen), *between_ms]), limits.latency_ms - costs.rest_latency_ms)
    if limits.size_bytes is not None:
        limit(size, float(limits.size_bytes - costs.rest_bytes))
    if limits.peak_bytes is not None:
        left = limits.peak_bytes - costs.base_peak_bytes - costs.peak_per_byte * costs.rest_bytes
        limit(np.concatenate([costs.peak_per_byte * size, np.zeros(len(pairs)), [unit]]), left)
    place = {option: column for column, option in enumerate(options)}
    for pair in costs.conflicts:  # of both one at most
        ones = _columns(pair, place)
        within.append(csr_array((np.ones(len(ones)), (np.zeros(len(ones), int), ones)), shape=(1, columns)))
        room.append(1.0)
    for (pair, _), column in zip(costs.between, pairs, strict=True):  # both, less one, is what it costs
        ones = [*_columns(pair, place), int(column)]
        values = np.append(np.ones(len(ones) - 1), -1.0)
        within.append(csr_array((values, (np.zeros(len(ones), int), ones)), shape=(1, columns)))
        room.append(1.0)
    if peaks:  # each part's choice holds no more than the largest
        entries = np.append(held / unit, -np.ones(len(which)))
        places = np.append(rows, np.arange(len(which))), np.append(np.arange(len(options)), [columns - 1] * len(which))
        within.append(csr_array((entries, places), shape=(len(which), columns)))
        room += [0.0] * len(which)
    return _Problem(
        options=options,
        cost=np.concatenate([price.choices, price.pairs, [price.largest] * peaks]),
        one_each=csr_array((np.ones(len(options)), (rows, np.arange(len(options)))), shape=(len(which), columns)),
        within=vstack(within, format="csr") if within else csr_array((0, columns)),
        room=np.array(room),
    )


def _columns(pair: Pair, place: dict[tuple[str, Choice], int]) -> list[int]:
    """Of the choices that it names, in the table's order; those that the table does not offer have none."""
    of_both = zip(pair.parts, (pair.first, pair.second), strict=True)
    named = [(part, choice) for part, choices in of_both for choice in choices]
    return sorted(place[each] for each in named if each in place)


def _options(costs: CostTable) -> list[tuple[str, Choice]]:
    return [(part, choice) for part, row in costs.parts.items() for choice in row]
