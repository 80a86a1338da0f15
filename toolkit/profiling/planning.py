"""What may be planned: cost tables with what graphs hold besides weights, and limits with room for errors."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from scipy.optimize import linprog

from toolkit.choice import DENSE, Choice
from toolkit.compression import CostTable, Limits, Shortfall, find_shortfall
from toolkit.compression.feasibility import Resource
from toolkit.errors import BudgetError
from toolkit.profiling.budget import Budget
from toolkit.profiling.latency_model import LatencyModel
from toolkit.profiling.measurement import Measurement
from toolkit.profiling.whole_models import WholeModel
from toolkit.targets import Clock
from toolkit.units import format_bytes, format_milliseconds

# How sure a planned median is to keep within its limit before it is measured.
_CONFIDENCE = 0.99


def with_overheads(
    costs: CostTable,
    measured: Sequence[tuple[Mapping[str, Choice], WholeModel]],
    layers_of: Mapping[str, int] = MappingProxyType({}),
) -> CostTable:
    """To the bytes of each layer that is compact or left fp32 comes what files and graphs hold besides weights.

    A layer that goes with its block (`layers_of`: how many a block has) takes what it held. The least that no measured
    model holds more than. To every peak comes the most that any measured one was above its prediction: a limit on
    memory is a hard one.
    """
    beyond = {
        tuple(_counts(chosen, layers_of)): whole.size_bytes - costs.size_bytes(chosen)
        for chosen, whole in sorted(measured, key=lambda each: each[1].size_bytes - costs.size_bytes(each[0]))
    }
    layers = len(costs.parts) - len(layers_of)
    each_bytes = _least_covering(
        {counts: held for counts, held in beyond.items() if any(counts)}, costs.rest_bytes / max(1, layers)
    )
    parts = {
        name: {
            choice: replace(cost, weight_bytes=cost.weight_bytes + _held(choice, layers_of.get(name, 1), each_bytes))
            for choice, cost in row.items()
        }
        for name, row in costs.parts.items()
    }
    sized = replace(costs, parts=parts)
    above = max((whole.peak_bytes - sized.peak_bytes(chosen) for chosen, whole in measured), default=0)
    return replace(sized, base_peak_bytes=sized.base_peak_bytes + max(0, above))


def _least_covering(beyond: Mapping[tuple[int, ...], int], most_gone: float) -> list[int]:
    """Bytes for each of a kind, the least in all with which every one of these counts makes what it held beyond.

    A layer that is gone saves `most_gone` bytes at most: few models say little, and what they do not say would else be
    anything. What no such bytes can make is not made.
    """
    if not beyond:
        return [0] * len(_KINDS)
    counts = np.array(list(beyond), float)
    known = (counts != 0).any(axis=0)
    bounds = [(-most_gone if kind is _is_gone else 0, 0 if kind is _is_gone else None) for kind in _KINDS]
    bounds = [bound if is_known else (0, 0) for bound, is_known in zip(bounds, known, strict=True)]
    lacking = np.eye(len(counts))
    solved = linprog(
        np.concatenate([counts.sum(axis=0), np.full(len(counts), _LACKING)]),
        -np.hstack([counts, lacking]),
        -np.array(list(beyond.values()), float),
        bounds=[*bounds, *[(0, None)] * len(counts)],
        method="highs",
    )
    return [math.ceil(value - 1e-6) for value in solved.x[: len(_KINDS)]]


def _counts(chosen: Mapping[str, Choice], layers_of: Mapping[str, int]) -> Iterator[int]:
    """How many of each kind: layers that stay and are left fp32, compact ones, those that are gone."""
    for index in range(len(_KINDS)):
        unit = [int(index == other) for other in range(len(_KINDS))]
        yield sum(_held(choice, layers_of.get(part, 1), unit) for part, choice in chosen.items())


def _held(choice: Choice, layers: int, each_bytes: Sequence[int]) -> int:
    """What a choice adds where a layer of each kind holds so many bytes; a block is chosen for all its layers."""
    left, compact, gone = each_bytes
    if _is_gone(choice):  # its layers are counted beside it, as if they were there
        return layers * (gone - (left if choice.precision != "fp32" else 0))
    return left * _left_fp32(choice) + compact * _is_compact(choice)


def _is_compact(choice: Choice) -> bool:
    """Whether the graph of such a layer has nodes and constants that a dense one does not."""
    return choice.form == "rank"


def _left_fp32(choice: Choice) -> bool:
    """Whether a dense layer's graph has conversions and scales."""
    return choice.form == "dense" and choice != DENSE


def _is_gone(choice: Choice) -> bool:
    """Whether the graph lost nodes, and their names, with the layers of a block."""
    return choice.form == "removed"


_KINDS = (_left_fp32, _is_compact, _is_gone)
# What a byte that no measured model explains costs, beside one that one explains: it is the last resort.
_LACKING = 1e4


def p95_over_median(clock: Clock, measured: Sequence[Measurement]) -> float:
    """How far a p95 is above its median on this board: counted instructions at worst, wall time as a rule."""
    ratios = [each.own_p95_ms / each.median_ms for each in measured]
    return max(ratios) if clock == "instructions" else statistics.median(ratios)


def planned_share(model: LatencyModel, spread: float, likely: Sequence[Mapping[str, Choice]]) -> float:
    """Of a budget for a p95, what a median may be planned with: a p95 is `spread` above it, and predictions err.

    The room for the prediction's error is that of the least certain of the `likely` allocations.
    """
    doubt = max(model.upper_ms(each, _CONFIDENCE) / model.costs.latency_ms(each) for each in likely)
    return 1 / (spread * doubt)


def plan_limits(budget: Budget, share: float) -> Limits:
    """What an allocation may spend so that the budget holds: that share of the p95 as a median, size and memory."""
    return Limits(
        latency_ms=None if budget.latency_ms is None else budget.latency_ms.value * share,
        size_bytes=None if budget.size_bytes is None else budget.size_bytes.value,
        peak_bytes=None if budget.peak_memory_bytes is None else budget.peak_memory_bytes.value,
    )


def unreachable(budget: Budget, costs: CostTable, share: float, said: str, least: Limits | None) -> BudgetError:
    """The refusal of a budget that nothing keeps, with the nearest feasible one.

    `said` is what the best allocation takes; `least` what the board says that limits have to be, its latency a p95.
    """
    least = least or Limits()
    shortfall = find_shortfall(costs, plan_limits(budget, share))
    if shortfall is None:  # what predictions promise, and the board did not keep
        alone = tuple(each for each in _NAMES if getattr(least, each) is not None)
        shortfall = Shortfall(alone=alone, nearest=least, raised=alone)
    given = {
        "latency_ms": budget.latency_ms and f"p95 within {format_milliseconds(budget.latency_ms.value)}",
        "size_bytes": budget.size_bytes and f"size within {format_bytes(budget.size_bytes.value)}",
        "peak_bytes": budget.peak_memory_bytes and f"peak memory within {format_bytes(budget.peak_memory_bytes.value)}",
    }
    wrong = [given[each] for each in shortfall.alone] or [each for each in given.values() if each]
    options = _options(shortfall.nearest, shortfall.raised, share, least)
    return BudgetError(
        f"no allocation keeps {' and '.join(map(str, wrong))}{'' if shortfall.alone else ' at once'}: {said}",
        where=f"{_NAMES[shortfall.alone[0]]} budget" if len(shortfall.alone) == 1 else "budget",
        next=f"The nearest feasible is {' '.join(options)}; or give a smaller model.",
    )


# What is offered must hold when it is measured anew.
_SURELY = 1.03
_NAMES: dict[Resource, str] = {"latency_ms": "latency", "size_bytes": "size", "peak_bytes": "memory"}


def _options(nearest: Limits, raised: tuple[Resource, ...], share: float, least: Limits) -> list[str]:
    """The options of the command line that grant the limits that had to be raised, rounded up."""
    options = []
    if "latency_ms" in raised and nearest.latency_ms is not None:
        alone = least.latency_ms if raised == ("latency_ms",) else None
        options.append(option_ms(_SURELY * (alone or nearest.latency_ms / share)))
    if "size_bytes" in raised and nearest.size_bytes is not None:
        options.append(f"--size {math.ceil(max(nearest.size_bytes, least.size_bytes or 0) / 1e3)}KB")
    if "peak_bytes" in raised and nearest.peak_bytes is not None:
        options.append(f"--memory {math.ceil(max(nearest.peak_bytes, least.peak_bytes or 0) / 1e5) / 10:g}MB")
    return options


def option_ms(value: float) -> str:
    """The `--latency` that grants this p95: three digits, rounded up."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"--latency {math.ceil(value / step + 1e-9) * step:.6g}ms"
