"""Allocation by a threshold a layer: a step up in rank is taken iff `gain / cost >= tau exp(delta)`.

Source: AdaCompact (abstract: task-conditioned thresholds). Ours: `tau` is common to all layers and found by bisection,
so that the budget holds whatever the thresholds `delta` say: they only redistribute.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.compression.allocation import Allocation, Limits, describe, fits, spend
from toolkit.compression.costs import CostTable
from toolkit.compression.gains import GainCurve
from toolkit.compression.greedy import cheapest, grow
from toolkit.compression.knapsack import Ranks


@dataclass(frozen=True)
class _Step:
    """From one choice of a layer to the next that pays; `pays` is log(gain / cost) less the layer's threshold."""

    layer: str
    rank: int | None
    pays: float


def allocate_by_thresholds(
    gains: dict[str, GainCurve], costs: CostTable, limits: Limits, log_thresholds: Mapping[str, float]
) -> Allocation:
    """The most that thresholds `tau exp(log_thresholds[layer])` let within the limits, then what else still fits.

    All 0 is one threshold for all layers. Raises BudgetError with the nearest feasible limits if nothing fits.
    """
    least = cheapest(costs, limits)
    steps = sorted(
        (step for layer in costs.layers for step in _steps(gains[layer], costs, limits, least, log_thresholds[layer])),
        key=lambda step: -step.pays,
    )
    enough, too_many = 0, len(steps) + 1
    while too_many - enough > 1:
        middle = (enough + too_many) // 2
        if fits(_taken(least, steps[:middle]), costs, limits):
            enough = middle
        else:
            too_many = middle
    # The first step over the budget may be a large one: smaller ones, dearest layers last, use what is left.
    prices = {layer: math.exp(threshold) for layer, threshold in log_thresholds.items()}
    return describe(grow(_taken(least, steps[:enough]), gains, costs, limits, prices), gains, costs)


def _taken(least: Ranks, steps: list[_Step]) -> Ranks:
    return {**least, **{step.layer: step.rank for step in steps}}


def _steps(curve: GainCurve, costs: CostTable, limits: Limits, least: Ranks, log_threshold: float) -> list[_Step]:
    """The layer's choices on the upper hull of gain over cost, from the least one up: each pays less than the last."""
    layer = curve.layer
    hull = [(spend(costs, limits, layer, least[layer]), curve.of(least[layer]), least[layer])]
    pays: list[float] = [math.inf]
    for spent, gain, rank in sorted(
        ((spend(costs, limits, layer, rank), curve.of(rank), rank) for rank in costs.layers[layer]),
        key=lambda choice: (choice[0], -choice[1]),
    ):
        if gain <= hull[-1][1] or spent < hull[0][0]:
            continue
        while len(hull) > 1 and _slope(hull[-1], spent, gain) >= pays[-1]:
            hull.pop()
            pays.pop()
        pays.append(_slope(hull[-1], spent, gain))
        hull.append((spent, gain, rank))
    return [
        _Step(layer, rank, _log(slope) - log_threshold) for (_, _, rank), slope in zip(hull[1:], pays[1:], strict=True)
    ]


def _slope(below: tuple[float, float, int | None], spent: float, gain: float) -> float:
    return (gain - below[1]) / (spent - below[0]) if spent > below[0] else math.inf


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
