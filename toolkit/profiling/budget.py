"""Budget: what one inference may take on this board, and where each number comes from."""

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from toolkit.devices import DeviceFacts
from toolkit.profiling.measurement import Measurement
from toolkit.targets import Target
from toolkit.units import format_bytes, format_milliseconds

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Limit(Generic[Number]):
    """One limit and where it came from; `is_default` where nobody asked for it: it gives way, and is never refused."""

    value: Number
    source: str
    is_default: bool = False


@dataclass(frozen=True)
class Budget:
    """Limits on p95 latency, peak memory of the serving process, and bytes that it loads; None is no limit.

    With `keep_accuracy`, a share of the dense model's, latency is to be as low as that allows. With `speedup` the limit
    on latency was asked for, but follows the dense model as a default does.
    """

    latency_ms: Limit[float] | None
    peak_memory_bytes: Limit[int] | None
    size_bytes: Limit[int] | None
    keep_accuracy: float | None = None
    speedup: float | None = None


def derive_budget(
    target: Target,
    facts: DeviceFacts,
    dense: Measurement,
    *,
    latency_ms: float | None = None,
    memory_bytes: int | None = None,
    size_bytes: int | None = None,
    keep_accuracy: float | None = None,
    speedup: float | None = None,
) -> Budget:
    """The budget from the command line's values where given, else from the target's defaults and the board's facts.

    Where accuracy is what must be kept, latency has no default. `latency_ms` and `speedup` exclude each other.
    """
    if latency_ms is not None:
        latency: Limit[float] | None = Limit(latency_ms, "--latency")
    elif speedup is not None:
        latency = _faster(dense, speedup)
    else:
        latency = None if keep_accuracy is not None else _latency(target, dense)
    return Budget(
        latency,
        Limit(memory_bytes, "--memory") if memory_bytes is not None else _memory(target, facts),
        Limit(size_bytes, "--size") if size_bytes is not None else None,
        keep_accuracy,
        speedup,
    )


def with_defaults_of(budget: Budget, target: Target, dense: Measurement) -> Budget:
    """The same, its latency derived again from what the dense model takes now, if it is a default or a speedup."""
    if budget.speedup is not None:
        return replace(budget, latency_ms=_faster(dense, budget.speedup))
    if budget.latency_ms is None or not budget.latency_ms.is_default:
        return budget
    return replace(budget, latency_ms=_latency(target, dense))


def _faster(dense: Measurement, speedup: float) -> Limit[float]:
    """The p95 of a model that is so many times as fast as the dense one.

    A speedup compares medians, a budget is held against a p95. The compact model may have a tail as long as the dense
    model's own: then it keeps this limit when its median is the dense median by `speedup`. Held against the median
    itself, a speedup of 1 would refuse the dense model.
    """
    return Limit(dense.own_p95_ms / speedup, f"--speedup {speedup:g}")


def _latency(target: Target, dense: Measurement) -> Limit[float] | None:
    defaults = target.budget
    if defaults.rate_hz is not None:
        return Limit(
            1000.0 / defaults.rate_hz * defaults.duty,
            f"{defaults.duty:.0%} of a period at {defaults.rate_hz:g} Hz (target {target.name})",
            is_default=True,
        )
    if defaults.dense_latency_fraction is not None:
        return Limit(
            defaults.dense_latency_fraction * dense.own_p95_ms,
            f"{defaults.dense_latency_fraction:.0%} of the dense model's p95, "
            f"{format_milliseconds(dense.own_p95_ms)} (target {target.name})",
            is_default=True,
        )
    return None


def _memory(target: Target, facts: DeviceFacts) -> Limit[int] | None:
    if facts.ram_bytes is None:
        return None
    fraction = target.budget.memory_fraction
    return Limit(
        int(fraction * facts.ram_bytes),
        f"{fraction:.0%} of {format_bytes(facts.ram_bytes)} RAM (target {target.name})",
        is_default=True,
    )
