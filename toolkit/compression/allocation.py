"""Allocation: one choice per layer, what it is predicted to cost and save, and how far from the best it can be."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from toolkit.compression.costs import CostTable
from toolkit.compression.gains import GainCurve
from toolkit.errors import BudgetError
from toolkit.units import format_bytes, format_milliseconds


@dataclass(frozen=True)
class Limits:
    """What an allocation may spend; None is no limit. Latency is the predicted median, size the model's bytes."""

    latency_ms: float | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class Allocation:
    """Layer -> rank (None: dense), its gain (nats), an upper bound on any allocation's gain, and its predicted cost."""

    ranks: dict[str, int | None]
    gain: float
    gain_bound: float
    latency_ms: float
    size_bytes: int

    @property
    def bound_gap(self) -> float:
        """Share of the bound that this allocation may be missing: 0 is proved optimal."""
        return max(0.0, (self.gain_bound - self.gain) / self.gain_bound) if self.gain_bound > 0 else 0.0


Allocator = Callable[[dict[str, GainCurve], CostTable, Limits], Allocation]


def describe(
    ranks: dict[str, int | None], gains: dict[str, GainCurve], costs: CostTable, gain_bound: float
) -> Allocation:
    """The allocation that those ranks make."""
    gain = sum(gains[layer].of(rank) for layer, rank in ranks.items())
    return Allocation(ranks, gain, max(gain, gain_bound), costs.latency_ms(ranks), costs.size_bytes(ranks))


def fits(ranks: dict[str, int | None], costs: CostTable, limits: Limits) -> bool:
    """Whether the choices stay within every limit."""
    return (limits.latency_ms is None or not _over(costs.latency_ms(ranks), limits.latency_ms)) and (
        limits.size_bytes is None or costs.size_bytes(ranks) <= limits.size_bytes
    )


def require_feasible(costs: CostTable, limits: Limits) -> None:
    """Raises BudgetError with the nearest feasible limit if even the cheapest choices miss one on its own."""
    fastest = {layer: min(row, key=lambda rank: row[rank].latency_ms) for layer, row in costs.layers.items()}
    smallest = {layer: min(row, key=lambda rank: row[rank].weight_bytes) for layer, row in costs.layers.items()}
    least_ms, least_bytes = costs.latency_ms(fastest), costs.size_bytes(smallest)
    if limits.latency_ms is not None and _over(least_ms, limits.latency_ms):
        raise BudgetError(
            f"no allocation runs in {format_milliseconds(limits.latency_ms)}: "
            f"the fastest is predicted at {_rounded_up(least_ms)}",
            where="latency budget",
            next=f"The nearest feasible is a planned median of {_rounded_up(least_ms)}: raise --latency.",
        )
    if limits.size_bytes is not None and least_bytes > limits.size_bytes:
        raise BudgetError(
            f"no allocation fits {format_bytes(limits.size_bytes)}: the smallest takes {format_bytes(least_bytes)}",
            where="size budget",
            next=f"The nearest feasible is --size {-(-least_bytes // 1000)}KB.",
        )


def infeasible_together(costs: CostTable, fastest: dict[str, int | None] | None) -> BudgetError:
    """The refusal when each limit alone can be met but not both; `fastest` are the fastest choices of that size."""
    nearest = (
        ""
        if fastest is None
        else f" (of that size, the fastest is a planned median of {_rounded_up(costs.latency_ms(fastest))})"
    )
    return BudgetError(
        "no allocation meets the latency and the size budget at once",
        where="budget",
        next=f"Raise --size, or --latency{nearest}.",
    )


def _over(spent_ms: float, limit_ms: float) -> bool:
    """More than the limit by more than the rounding of a sum."""
    return spent_ms > limit_ms * (1 + 1e-9)


def _rounded_up(milliseconds: float) -> str:
    """Three significant digits that are no less than the value: a limit that is printed must be one that holds."""
    if milliseconds <= 0:
        return format_milliseconds(milliseconds)
    digit = 10.0 ** (math.floor(math.log10(milliseconds)) - 2)
    return format_milliseconds(math.ceil(milliseconds / digit - 1e-9) * digit)
