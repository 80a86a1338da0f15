"""From measurements to what an allocator sees: a cost table, and limits with room for what prediction misses."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from toolkit.compression import Cost, CostTable, Limits, matrix
from toolkit.errors import BudgetError
from toolkit.profiling.budget import Budget
from toolkit.profiling.candidates import candidate_ranks, signature
from toolkit.profiling.profile import Profile
from toolkit.profiling.whole_models import WholeModel
from toolkit.units import format_bytes

# Room left between the planned median and the budget for what the table cannot know, by the target's clock.
_HEADROOM = {"wall": 0.15, "instructions": 0.02}
# A p95 far above the median is a disturbance of the moment, not a property of the model: plan with at most this ratio.
_MOST_SPREAD = 1.3


@dataclass(frozen=True)
class MemoryModel:
    """Peak bytes of a serving process as a line through two measured processes: a minute program and the dense model."""

    base_bytes: float
    per_byte: float

    def peak_bytes(self, size_bytes: int) -> int:
        """Predicted peak of a process that serves a model of that size."""
        return round(self.base_bytes + self.per_byte * size_bytes)


def memory_model(minute: WholeModel, dense: WholeModel) -> MemoryModel:
    """The line through both; at least one byte a byte of weights."""
    slope = (dense.peak_bytes - minute.peak_bytes) / max(1, dense.size_bytes - minute.size_bytes)
    slope = max(1.0, slope)
    return MemoryModel(minute.peak_bytes - slope * minute.size_bytes, slope)


def cost_table(
    layers: dict[str, nn.Linear | nn.Conv2d],
    input_shapes: dict[str, tuple[int, ...]],
    multiple: int,
    profile: Profile,
    dense: WholeModel,
) -> CostTable:
    """Measured costs of every layer and choice. What the dense whole took beyond its layers is the rest."""
    table: dict[str, dict[int | None, Cost]] = {}
    for name, layer in layers.items():
        m, n = matrix(layer).shape
        bias = 0 if layer.bias is None else 4 * m
        row: dict[int | None, Cost] = {}
        for rank in (None, *candidate_ranks(layer, multiple)):
            latency_ms = profile.rows[signature(layer, input_shapes[name], rank)].median_ms
            # A compact layer stores U, V and the core; the core folds away only when it is loaded.
            weights = m * n if rank is None else rank * (m + n + rank)
            row[rank] = Cost(latency_ms, 4 * weights + bias)
        table[name] = row
    dense_ms = sum(row[None].latency_ms for row in table.values())
    dense_bytes = sum(row[None].weight_bytes for row in table.values())
    return CostTable(
        table,
        rest_latency_ms=max(0.0, dense.measurement.median_ms - dense_ms),
        rest_bytes=max(0, dense.size_bytes - dense_bytes),
    )


def corrected(costs: CostTable, ranks: list[dict[str, int | None]], measured_ms: list[float]) -> CostTable:
    """The table scaled so that its sums meet whole models measured on the board (median of their ratios)."""
    if not ranks:
        return costs
    ratios = torch.tensor([ms / costs.latency_ms(choice) for choice, ms in zip(ranks, measured_ms, strict=True)])
    return replace(costs, latency_scale=costs.latency_scale * float(ratios.quantile(0.5)))


def plan_limits(budget: Budget, clock: str, dense: WholeModel, memory: MemoryModel) -> Limits:
    """What an allocation may spend so that the budget holds: a median below the p95, a size below the peak memory.

    Raises BudgetError if the runtime alone takes more memory than the budget.
    """
    latency = None
    if budget.latency_ms is not None:
        spread = min(_MOST_SPREAD, dense.measurement.p95_ms / dense.measurement.median_ms)
        latency = budget.latency_ms.value / spread * (1 - _HEADROOM[clock])
    sizes = [budget.size_bytes.value] if budget.size_bytes else []
    if budget.peak_memory_bytes is not None:
        room = (budget.peak_memory_bytes.value - memory.base_bytes) / memory.per_byte
        if room <= 0:
            raise BudgetError(
                f"the runtime alone takes {format_bytes(memory.base_bytes)}, "
                f"more than {format_bytes(budget.peak_memory_bytes.value)}",
                where="memory budget",
                next=f"The nearest feasible is a little over --memory {int(memory.base_bytes / 1e6) + 1}MB.",
            )
        sizes.append(int(room))
    return Limits(latency, min(sizes) if sizes else None)
