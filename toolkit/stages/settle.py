"""Settle on an allocation: choose, time what was chosen on the board, and choose again until the budget holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from toolkit.choice import Selection
from toolkit.compression import Allocation, Allocator, CostTable, GainCurve, Limits
from toolkit.compression.allocation import describe, fits
from toolkit.compression.knapsack import least
from toolkit.errors import BudgetError
from toolkit.profiling import WholeModel

_ROUNDS = 4
# Of the budget, what a chosen model's p95 should take: more risks the next measurement, less leaves accuracy behind.
AIM = {"wall": 0.93, "instructions": 0.985}
_LEAST = {"wall": 0.85, "instructions": 0.95}
_HALF = 0.5


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
    budget_bytes: int | None = None,
    known: Sequence[tuple[Selection, WholeModel]] = (),
) -> Settled:
    """The allocation of most gain whose measured median, times the `spread` of a p95, keeps within the budget.

    A prediction is never exact: what was planned too slow, too large or too timidly is planned again under limits
    corrected by what the board said. Where nothing that was so planned holds the budget, the best that does of the
    `known` models, which were timed before; where none does, the fastest of what was planned. Raises BudgetError if
    nothing fits the limits.
    """
    allocation = allocator(gains, costs, limits)
    judged_by_time = budget_ms is not None and limits.latency_ms is not None
    if time is None or not (judged_by_time or budget_bytes is not None):
        return Settled(allocation, limits, None)

    def holds(timed: WholeModel) -> bool:
        fast = not judged_by_time or timed.measurement.median_ms <= _most_median_ms(budget_ms or 0, clock, spread)
        return fast and (budget_bytes is None or timed.size_bytes <= budget_bytes)

    best: Settled | None = None
    tried: dict[Selection, Settled] = {}
    for _ in range(_ROUNDS):
        chosen = allocation.selection
        if chosen in tried:
            break
        timed = time(chosen)
        settled = tried[chosen] = Settled(allocation, limits, timed)
        used = timed.measurement.median_ms * spread / budget_ms if judged_by_time and budget_ms else 1.0
        if holds(timed):
            if best is None or allocation.gain > best.allocation.gain:
                best = settled
            if used >= _LEAST[clock] or chosen.is_dense:
                break
        # The board's word on the model nearest to what is wanted corrects all that was predicted.
        if judged_by_time:
            limits = replace(limits, latency_ms=_corrected_ms(allocation.latency_ms, timed, AIM[clock] / used))
        if budget_bytes is not None and timed.size_bytes > budget_bytes:
            fewer = _fewer_bytes(allocation.size_bytes, timed.size_bytes - budget_bytes, costs)
            limits = replace(limits, size_bytes=fewer)
        try:
            allocation = allocator(gains, costs, limits)
        except BudgetError:
            break  # not even the fastest
    if best is None:
        allowed = Limits(peak_bytes=limits.peak_bytes)
        held = [
            Settled(describe(chosen, gains, costs), limits, timed)
            for chosen, timed in known
            if holds(timed) and fits(chosen, costs, allowed)
        ]
        best = max(held, key=lambda each: each.allocation.gain, default=None)
    return best or (min(tried.values(), key=_median_ms) if judged_by_time else settled)


def _median_ms(settled: Settled) -> float:
    assert settled.timed is not None
    return settled.timed.measurement.median_ms


def _corrected_ms(planned_ms: float, timed: WholeModel, times: float) -> float:
    """What to plan so that the board takes so many times what it took: sums of layers err by a share, as a rule.

    A plan of less than half of what the board then took errs by what no layer counts, which stays.
    """
    took_ms = timed.measurement.median_ms
    return planned_ms * times if planned_ms > _HALF * took_ms else planned_ms - took_ms * (1 - times)


def _fewer_bytes(planned: int, beyond: int, costs: CostTable) -> int:
    """Planned bytes less what was too many; half-way to the smallest where a plan cannot have so few.

    The smallest may itself be smaller than planned.
    """
    smallest = least("size_bytes", costs, Limits())
    assert smallest is not None
    least_bytes = costs.size_bytes(smallest)
    return planned - beyond if planned - beyond >= least_bytes else (planned + least_bytes) // 2


def _most_median_ms(budget_ms: float, clock: str, spread: float) -> float:
    """The most that a measured median may be for its p95 to keep within the budget when it is measured again."""
    return budget_ms / spread * (1 + AIM[clock]) / 2
