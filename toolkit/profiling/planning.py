"""From measurements to what an allocator sees: a cost table, and limits with room for what prediction misses."""

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from toolkit.compression import Cost, CostTable, Limits, matrix
from toolkit.compression.knapsack import fastest_within
from toolkit.errors import BudgetError
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
    """Peak bytes of a serving process: a line through two measured ones, a minute program and the dense model."""

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
            latency_ms = profile.rows[str(signature_of(layer, input_shapes[name], rank))].median_ms
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


def plan_limits(budget: Budget, clock: str, dense: WholeModel, memory: MemoryModel, costs: CostTable) -> Limits:
    """What an allocation may spend so that the budget holds: a median below the p95, a size below the peak memory.

    Raises BudgetError, with the nearest feasible budget, if the limits cannot be met.
    """
    fastest = {layer: min(row, key=lambda rank: row[rank].latency_ms) for layer, row in costs.layers.items()}
    smallest = {layer: min(row, key=lambda rank: row[rank].weight_bytes) for layer, row in costs.layers.items()}
    least_bytes = costs.size_bytes(smallest)
    latency, sizes = None, []
    if budget.latency_ms is not None:
        share = median_share(clock, dense)
        latency = budget.latency_ms.value * share
        least_ms = costs.latency_ms(fastest) / share
        if costs.latency_ms(fastest) > latency:
            raise _infeasible(
                "latency",
                f"no allocation keeps p95 within {format_milliseconds(budget.latency_ms.value)}: "
                f"the fastest is predicted to need {format_milliseconds(least_ms)}",
                option_ms(least_ms),
            )
    if budget.size_bytes is not None:
        sizes.append(budget.size_bytes.value)
        if least_bytes > budget.size_bytes.value:
            raise _infeasible(
                "size",
                f"no allocation fits {format_bytes(budget.size_bytes.value)}: "
                f"the smallest takes {format_bytes(least_bytes)}",
                f"--size {math.ceil(least_bytes / 1e3)}KB",
            )
    if budget.peak_memory_bytes is not None:
        sizes.append(int((budget.peak_memory_bytes.value - memory.base_bytes) / memory.per_byte))
        if least_bytes > sizes[-1]:
            least_peak = memory.peak_bytes(least_bytes)
            raise _infeasible(
                "memory",
                f"no allocation peaks below {format_bytes(budget.peak_memory_bytes.value)}: the smallest is predicted "
                f"at {format_bytes(least_peak)}, the runtime alone takes {format_bytes(memory.base_bytes)}",
                f"--memory {math.ceil(least_peak / 1e6) + 1}MB",
            )
    limits = Limits(latency, min(sizes) if sizes else None)
    if latency is not None and sizes:
        together = fastest_within(costs, min(sizes))
        if together is not None and costs.latency_ms(together) > latency:
            raise BudgetError(
                "no allocation meets the latency and the size or memory budget at once",
                where="budget",
                next=f"The nearest feasible is {option_ms(costs.latency_ms(together) / median_share(clock, dense))} "
                "with this size; or raise --size or --memory.",
            )
    return limits


def median_share(clock: str, dense: WholeModel) -> float:
    """The planned median as a share of the p95 budget."""
    spread = min(_MOST_SPREAD, dense.measurement.p95_ms / dense.measurement.median_ms)
    return (1 - _HEADROOM[clock]) / spread


def option_ms(value: float) -> str:
    """The `--latency` that grants this p95: three digits, rounded up."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"--latency {math.ceil(value / step + 1e-9) * step:.6g}ms"


def _infeasible(what: str, why: str, nearest: str) -> BudgetError:
    return BudgetError(why, where=f"{what} budget", next=f"The nearest feasible is {nearest}; or give a smaller model.")
