"""From measurements to what an allocator sees: a cost table, and limits with room for what prediction misses."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from toolkit.compression import Cost, CostTable, Limits, find_shortfall, matrix
from toolkit.compression.feasibility import Resource
from toolkit.errors import BadInput, BudgetError
from toolkit.profiling.activations import activation_bytes
from toolkit.profiling.budget import Budget
from toolkit.profiling.candidates import candidate_ranks
from toolkit.profiling.latency_model import LatencyModel, Ranks
from toolkit.profiling.layer_times import layer_time
from toolkit.profiling.measurement import Measurement
from toolkit.profiling.predictor import fit_predictor
from toolkit.profiling.profile import Profile
from toolkit.profiling.signature import signature_of
from toolkit.profiling.whole_models import WholeModel
from toolkit.targets import Clock
from toolkit.units import format_bytes, format_milliseconds

# How sure a planned median is to keep within its limit before it is measured.
_CONFIDENCE = 0.99
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
    """What every layer costs under every choice; what the dense whole took beyond its layers is the rest.

    The rest may be negative: a layer alone pays for a call of its own. Raises BadInput if the profile, and what can be
    predicted from it, do not say what a layer takes.
    """
    chosen = {
        name: {
            rank: signature_of(layer, input_shapes[name], rank) for rank in (None, *candidate_ranks(layer, multiple))
        }
        for name, layer in layers.items()
    }
    complete = all(str(each) in profile.rows for row in chosen.values() for each in row.values())
    predictor = None if complete else fit_predictor(profile.rows)
    table: dict[str, dict[int | None, Cost]] = {}
    for name, layer in layers.items():
        m, n = matrix(layer).shape
        bias = 0 if layer.bias is None else 4 * m
        row: dict[int | None, Cost] = {}
        for rank, signature in chosen[name].items():
            time = layer_time(profile.rows, predictor, signature)
            if time is None:
                raise BadInput(
                    f"says nothing of `{signature}`",
                    where=f"the profile of {profile.target} for {profile.runtime}",
                    next=f"Measure it: `deploy profile --target {profile.target}` with this --model and --task.",
                )
            # A compact layer stores U, V and the core; the core folds away only when it is loaded.
            weights = m * n if rank is None else rank * (m + n + rank)
            held = activation_bytes(layer, input_shapes[name], rank)
            row[rank] = Cost(time.ms, 4 * weights + bias, held, time.std_ms, time.source)
        table[name] = row
    dense_ms = sum(row[None].latency_ms for row in table.values())
    dense_bytes = sum(row[None].weight_bytes for row in table.values())
    return CostTable(
        table,
        rest_latency_ms=dense.measurement.median_ms - dense_ms,
        rest_bytes=max(0, dense.size_bytes - dense_bytes),
        base_peak_bytes=memory.base_bytes,
        peak_per_byte=memory.per_byte,
    )


def with_overheads(costs: CostTable, measured: Sequence[tuple[Ranks, WholeModel]]) -> CostTable:
    """To the bytes of each compact choice comes what files and graphs hold besides weights.

    As much as in the measured model that has most of it. To every peak comes the most that any measured one was above
    its prediction: a limit on memory is a hard one.
    """
    beyond = max(
        (
            math.ceil((whole.size_bytes - costs.size_bytes(ranks)) / max(1, _compact_layers(ranks)))
            for ranks, whole in measured
        ),
        default=0,
    )
    layers = {
        name: {
            rank: cost if rank is None else replace(cost, weight_bytes=cost.weight_bytes + max(0, beyond))
            for rank, cost in row.items()
        }
        for name, row in costs.layers.items()
    }
    sized = replace(costs, layers=layers)
    above = max((whole.peak_bytes - sized.peak_bytes(ranks) for ranks, whole in measured), default=0)
    return replace(sized, base_peak_bytes=sized.base_peak_bytes + max(0, above))


def p95_over_median(clock: Clock, measured: Sequence[Measurement]) -> float:
    """How far a p95 is above its median on this board: counted instructions at worst, wall time as a rule."""
    ratios = [min(_MOST_SPREAD, each.p95_ms / each.median_ms) for each in measured]
    return max(ratios) if clock == "instructions" else statistics.median(ratios)


def _compact_layers(ranks: dict[str, int | None]) -> int:
    return sum(rank is not None for rank in ranks.values())


def plan_limits(budget: Budget, model: LatencyModel, spread: float, likely: Sequence[Ranks]) -> Limits:
    """What an allocation may spend so that the budget holds: a median that p95 is `spread` above, predicted surely.

    The room for the prediction's error is that of the least certain of the `likely` allocations. Raises BudgetError,
    with the nearest feasible budget, if nothing meets it.
    """
    costs = model.costs
    doubt = max(model.upper_ms(ranks, _CONFIDENCE) / costs.latency_ms(ranks) for ranks in likely)
    share = 1 / (spread * doubt)
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


def option_ms(value: float) -> str:
    """The `--latency` that grants this p95: three digits, rounded up."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"--latency {math.ceil(value / step + 1e-9) * step:.6g}ms"
