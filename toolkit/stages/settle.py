"""Settle on an allocation: choose, time what was chosen on the board, and choose again until the budget holds."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from toolkit.choice import Selection
from toolkit.compression import Allocation, Allocator, CostTable, GainCurve, Limits
from toolkit.errors import BudgetError
from toolkit.profiling import WholeModel

_ROUNDS = 4
# Of the budget, what a chosen model's p95 should take: more risks the next measurement, less leaves accuracy behind.
AIM = {"wall": 0.93, "instructions": 0.985}
_LEAST = {"wall": 0.85, "instructions": 0.95}


@dataclass(frozen=True)
class Settled:
    """The allocation, the limits that it was chosen under, and what the board took for it; None if nobody asked it."""

    allocation: Allocation
    limits: Limits
    timed: WholeModel | None


def settle(
    allocator: Allocator,
    gains: dict[str, GainCurve],
    costs: CostTable,
    limits: Limits,
    budget_ms: float | None,
    clock: str,
    spread: float,
    time: Callable[[Selection], WholeModel] | None,
) -> Settled:
    """The allocation of most gain whose measured median, times the `spread` of a p95, keeps within the budget.

    A prediction is never exact: what was planned too slow or too timidly is planned again under a limit corrected by
    what the board said. Raises BudgetError if nothing fits the limits.
    """
    allocation = allocator(gains, costs, limits)
    if budget_ms is None or limits.latency_ms is None or time is None:
        return Settled(allocation, limits, None)
    best: Settled | None = None
    tried: dict[Selection, WholeModel] = {}
    for _ in range(_ROUNDS):
        chosen = allocation.selection
        if chosen in tried:
            break
        timed = tried[chosen] = time(chosen)
        used = timed.measurement.median_ms * spread / budget_ms
        settled = Settled(allocation, limits, timed)
        if timed.measurement.median_ms <= most_median_ms(budget_ms, clock, spread):
            if best is None or allocation.gain > best.allocation.gain:
                best = settled
            if used >= _LEAST[clock] or chosen.is_dense:
                break
        assert limits.latency_ms is not None
        # The board's word on the model nearest to what is wanted corrects all that was predicted.
        limits = replace(limits, latency_ms=allocation.latency_ms * AIM[clock] / used)
        try:
            allocation = allocator(gains, costs, limits)
        except BudgetError:
            break  # not even the fastest: the first choice is deployed, and refused on the board if it misses
    return best or settled


def most_median_ms(budget_ms: float, clock: str, spread: float) -> float:
    """The most that a measured median may be for its p95 to keep within the budget when it is measured again."""
    return budget_ms / spread * (1 + AIM[clock]) / 2
