"""From measurements to what an allocator sees: a cost table, and limits with room for what prediction misses."""

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from toolkit.compression import Cost, CostTable, Limits, find_shortfall, matrix
from toolkit.compression.feasibility import Resource
from toolkit.errors import BudgetError
from toolkit.profiling.activations import activation_bytes
from toolkit.profiling.budget import Budget
from toolkit.profiling.candidates import candidate_ranks
from toolkit.profiling.profile import Profile
from toolkit.profiling.signature import signature_of
from toolkit.profiling.whole_models import WholeModel
from toolkit.units import format_bytes, format_milliseconds

# Room left between the planned median and the budget for what the table cannot know, by the target's clock.
_HEADROOM = {"wall": 0.15, "instructions": 0.02}
# A p95 far above the median is a disturbance of the moment, not a property of the model: plan with at most this ratio.
_MOST_SPREAD = 1.3


@dataclass(frozen=True)
class MemoryModel:
    """Peak bytes of a serving process besides activations: a line through a minute program and the dense model."""

    base_bytes: float
    per_byte: float


def memory_model(minute: WholeModel, dense: WholeModel, activation_bytes: int) -> MemoryModel:
    """The line through both; at least one byte a byte of weights. `activation_bytes`: what the dense layers hold."""
    slope = (dense.peak_bytes - activation_bytes - minute.peak_bytes) / max(1, dense.size_bytes - minute.size_bytes)
    slope = max(1.0, slope)
    return MemoryModel(minute.peak_bytes - slope * minute.size_bytes, slope)


def cost_table(
    layers: dict[str, nn.Linear | nn.Conv2d],
    input_shapes: dict[str, tuple[int, ...]],
    multiple: int,
    profile: Profile,
    dense: WholeModel,
    memory: MemoryModel,
) -> CostTable:
    """Measured costs of every layer and choice. What the dense whole took beyond its layers is the rest."""
    table: dict[str, dict[int | None, Cost]] = {}
    for name, layer in layers.items():
        m, n = matrix(layer).shape
        bias = 0 if layer.bias is None else 4 * m
        row: dict[int | None, Cost] = {}
        for rank in (None, *candidate_ranks(layer, multiple)):
            latency_ms = profile.rows[str(signature_of(layer, input_shapes[name], rank))].median_ms
            # A compact layer stores U, V and the core; the core folds away only when it is loaded.
            weights = m * n if rank is None else rank * (m + n + rank)
            held = activation_bytes(layer, input_shapes[name], rank)
            row[rank] = Cost(latency_ms, 4 * weights + bias, held)
        table[name] = row
    dense_ms = sum(row[None].latency_ms for row in table.values())
    dense_bytes = sum(row[None].weight_bytes for row in table.values())
    return CostTable(
        table,
        rest_latency_ms=max(0.0, dense.measurement.median_ms - dense_ms),
        rest_bytes=max(0, dense.size_bytes - dense_bytes),
        base_peak_bytes=memory.base_bytes,
        peak_per_byte=memory.per_byte,
    )


def corrected(costs: CostTable, ranks: list[dict[str, int | None]], measured: list[WholeModel]) -> CostTable:
    """The table corrected by whole compact models measured on the board.

    Latencies are scaled so that their sums meet the models' (median of the ratios). To the bytes of each compact choice
    comes what files and graphs hold besides weights, as much as the model that has most.
    """
    if not ranks:
        return costs
    pairs = list(zip(ranks, measured, strict=True))
    ratios = torch.tensor([whole.measurement.median_ms / costs.latency_ms(choice) for choice, whole in pairs])
    beyond = max(
        math.ceil((whole.size_bytes - costs.size_bytes(choice)) / max(1, _compact_layers(choice)))
        for choice, whole in pairs
    )
    layers = {
        name: {
            rank: cost if rank is None else replace(cost, weight_bytes=cost.weight_bytes + max(0, beyond))
            for rank, cost in row.items()
        }
        for name, row in costs.layers.items()
    }
    return replace(costs, layers=layers, latency_scale=costs.latency_scale * float(ratios.quantile(0.5)))


def _compact_layers(ranks: dict[str, int | None]) -> int:
    return sum(rank is not None for rank in ranks.values())


def plan_limits(budget: Budget, clock: str, dense: WholeModel, costs: CostTable) -> Limits:
    """What an allocation may spend so that the budget holds: a median below the p95.

    Raises BudgetError, with the nearest feasible budget, if nothing meets it.
    """
    share = median_share(clock, dense)
    limits = Limits(
        latency_ms=None if budget.latency_ms is None else budget.latency_ms.value * share,
        size_bytes=None if budget.size_bytes is None else budget.size_bytes.value,
        peak_bytes=None if budget.peak_memory_bytes is None else budget.peak_memory_bytes.value,
    )
    shortfall = find_shortfall(costs, limits)
    if shortfall is None:
        return limits
    given = {
        "latency_ms": budget.latency_ms and f"p95 within {format_milliseconds(budget.latency_ms.value)}",
        "size_bytes": budget.size_bytes and f"size within {format_bytes(budget.size_bytes.value)}",
        "peak_bytes": budget.peak_memory_bytes and f"peak memory within {format_bytes(budget.peak_memory_bytes.value)}",
    }
    wrong = [given[each] for each in shortfall.alone] or [each for each in given.values() if each]
    raise BudgetError(
        f"no allocation keeps {' and '.join(map(str, wrong))}" + ("" if shortfall.alone else " at once"),
        where=f"{_NAMES[shortfall.alone[0]]} budget" if len(shortfall.alone) == 1 else "budget",
        next=f"The nearest feasible is {' '.join(_options(shortfall.nearest, shortfall.raised, share))}; "
        "or give a smaller model.",
    )


_NAMES: dict[Resource, str] = {"latency_ms": "latency", "size_bytes": "size", "peak_bytes": "memory"}


def _options(nearest: Limits, raised: tuple[Resource, ...], share: float) -> list[str]:
    """The options of the command line that grant the limits that had to be raised, rounded up."""
    options = []
    if "latency_ms" in raised and nearest.latency_ms is not None:
        options.append(option_ms(nearest.latency_ms / share))
    if "size_bytes" in raised and nearest.size_bytes is not None:
        options.append(f"--size {math.ceil(nearest.size_bytes / 1e3)}KB")
    if "peak_bytes" in raised and nearest.peak_bytes is not None:
        options.append(f"--memory {math.ceil(nearest.peak_bytes / 1e5) / 10:g}MB")
    return options


def median_share(clock: str, dense: WholeModel) -> float:
    """The planned median as a share of the p95 budget."""
    spread = min(_MOST_SPREAD, dense.measurement.p95_ms / dense.measurement.median_ms)
    return (1 - _HEADROOM[clock]) / spread


def option_ms(value: float) -> str:
    """The `--latency` that grants this p95: three digits, rounded up."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"--latency {math.ceil(value / step + 1e-9) * step:.6g}ms"
