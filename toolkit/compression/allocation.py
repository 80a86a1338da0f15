"""Allocation: one choice per layer, what it is predicted to cost and save, and how far from the best it can be."""

from collections.abc import Callable
from dataclasses import dataclass

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
    """Layer -> rank (None: dense), its gain (nats), an upper bound on any allocation's gain, and its predicted cost.

    A group of channels is in `ranks` as it is in the cost table: channels kept, None for all.
    """

    ranks: dict[str, int | None]
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
    ranks: dict[str, int | None], gains: dict[str, GainCurve], costs: CostTable, gain_bound: float | None = None
) -> Allocation:
    """The allocation that those ranks make; with no better bound known, the gain of leaving every layer dense."""
    gain = sum(gains[layer].of(rank) for layer, rank in ranks.items())
    bound = sum(curve.dense for curve in gains.values()) if gain_bound is None else gain_bound
    spent = costs.latency_ms(ranks), costs.size_bytes(ranks), costs.peak_bytes(ranks)
    return Allocation(ranks, gain, max(gain, bound), *spent)


def fits(ranks: dict[str, int | None], costs: CostTable, limits: Limits) -> bool:
    """Whether the choices exclude none of each other and stay within every limit; a latency, but for rounding."""
    return (
        costs.allows(ranks)
        and (limits.latency_ms is None or costs.latency_ms(ranks) <= limits.latency_ms * (1 + 1e-9))
        and (limits.size_bytes is None or costs.size_bytes(ranks) <= limits.size_bytes)
        and (limits.peak_bytes is None or costs.peak_bytes(ranks) <= limits.peak_bytes)
    )


def spend(costs: CostTable, limits: Limits, layer: str, rank: int | None) -> float:
    """A choice's share of the limited resources that layers add up to; with no limit, its bytes."""
    cost = costs.layers[layer][rank]
    shares = []
    if limits.latency_ms is not None:
        shares.append(cost.latency_ms / limits.latency_ms)
    if limits.size_bytes is not None:
        shares.append(cost.weight_bytes / limits.size_bytes)
    if limits.peak_bytes is not None:
        shares.append(cost.weight_bytes * costs.peak_per_byte / limits.peak_bytes)
    return sum(shares) if shares else float(cost.weight_bytes)
