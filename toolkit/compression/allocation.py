"""Allocation: one choice a part, what it is predicted to cost and save, and how far from the best it can be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from toolkit.choice import Choice, Selection
from toolkit.compression.costs import CostTable
from toolkit.compression.gains import GainCurve


@dataclass(frozen=True)
class Limits:
    """What an allocation may spend; None is no limit.

    Latency is the predicted median, size the model's bytes, peak the bytes of the process that serves it.
    """

    latency_ms: float | None = None
    size_bytes: int | None = None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Allocation:
    """One choice a part, their gain (nats), an upper bound on any allocation's gain, and their predicted cost."""

    selection: Selection
    gain: float
    gain_bound: float
    latency_ms: float
    size_bytes: int
    peak_bytes: int

    @property
    def bound_gap(self) -> float:
        """Share of the bound that this allocation may be missing: 0 is proved optimal."""
        return max(0.0, (self.gain_bound - self.gain) / self.gain_bound) if self.gain_bound > 0 else 0.0


Allocator = Callable[[dict[str, GainCurve], CostTable, Limits], Allocation]


def describe(
    chosen: Mapping[str, Choice], gains: dict[str, GainCurve], costs: CostTable, gain_bound: float | None = None
) -> Allocation:
    """The allocation that those choices make; with no better bound known, the gain of leaving every part dense."""
    gain = sum(gains[part].of(choice) for part, choice in chosen.items())
    bound = sum(curve.dense for curve in gains.values()) if gain_bound is None else gain_bound
    spent = costs.latency_ms(chosen), costs.size_bytes(chosen), costs.peak_bytes(chosen)
    return Allocation(Selection(dict(chosen)), gain, max(gain, bound), *spent)


def fits(chosen: Mapping[str, Choice], costs: CostTable, limits: Limits) -> bool:
    """Whether no two of the choices conflict and all stay within every limit; a latency, but for rounding."""
    return (
        costs.allows(chosen)
        and (limits.latency_ms is None or costs.latency_ms(chosen) <= limits.latency_ms * (1 + 1e-9))
        and (limits.size_bytes is None or costs.size_bytes(chosen) <= limits.size_bytes)
        and (limits.peak_bytes is None or costs.peak_bytes(chosen) <= limits.peak_bytes)
    )


def spend(costs: CostTable, limits: Limits, part: str, choice: Choice) -> float:
    """A choice's share of the limited resources that parts add up to; with no limit, its bytes."""
    cost = costs.parts[part][choice]
    shares = []
    if limits.latency_ms is not None:
        shares.append(cost.latency_ms / limits.latency_ms)
    if limits.size_bytes is not None:
        shares.append(cost.weight_bytes / limits.size_bytes)
    if limits.peak_bytes is not None:
        shares.append(cost.weight_bytes * costs.peak_per_byte / limits.peak_bytes)
    return sum(shares) if shares else float(cost.weight_bytes)
