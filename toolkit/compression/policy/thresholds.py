"""Allocation by a threshold a layer: a step up in rank is taken iff `gain / cost >= tau exp(delta)`.

Source: AdaCompact (abstract: task-conditioned thresholds). Ours: `tau` is common to all layers and found by bisection,
so that the budget holds whatever the thresholds `delta` say: they only redistribute.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.choice import Choice, Selection
from toolkit.compression.allocation import Allocation, Limits, describe, fits, spend
from toolkit.compression.costs import CostTable
from toolkit.compression.gains import GainCurve
from toolkit.compression.greedy import cheapest, grow


@dataclass(frozen=True)
class _Step:
    """From one choice of a part to the next that pays; `pays` is log(gain / cost) less the part's threshold."""

    part: str
    choice: Choice
    pays: float


def allocate_by_thresholds(
    gains: dict[str, GainCurve], costs: CostTable, limits: Limits, log_thresholds: Mapping[str, float]
) -> Allocation:
    """The most that thresholds `tau exp(log_thresholds[layer])` let within the limits, then what else still fits.

    All 0 is one threshold for all layers. Raises BudgetError with the nearest feasible limits if nothing fits.
    """
    least = cheapest(costs, limits)
    steps = sorted(
        (step for part in costs.parts for step in _steps(gains[part], costs, limits, least, log_thresholds[part])),
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


def _taken(least: Selection, steps: list[_Step]) -> Selection:
    return least.but({step.part: step.choice for step in steps})


def _steps(curve: GainCurve, costs: CostTable, limits: Limits, least: Selection, log_threshold: float) -> list[_Step]:
    """The layer's choices on the upper hull of gain over cost, from the least one up: each pays less than the last."""
    part = curve.part
    hull = [(spend(costs, limits, part, least[part]), curve.of(least[part]), least[part])]
    pays: list[float] = [math.inf]
    for spent, gain, choice in sorted(
        ((spend(costs, limits, part, each), curve.of(each), each) for each in costs.parts[part]),
        key=lambda row: (row[0], -row[1]),
    ):
        if gain <= hull[-1][1] or spent < hull[0][0]:
            continue
        while len(hull) > 1 and _slope(hull[-1], spent, gain) >= pays[-1]:
            hull.pop()
            pays.pop()
        pays.append(_slope(hull[-1], spent, gain))
        hull.append((spent, gain, choice))
    return [
        _Step(part, choice, _log(slope) - log_threshold)
        for (_, _, choice), slope in zip(hull[1:], pays[1:], strict=True)
    ]


def _slope(below: tuple[float, float, Choice], spent: float, gain: float) -> float:
    return (gain - below[1]) / (spent - below[0]) if spent > below[0] else math.inf


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
