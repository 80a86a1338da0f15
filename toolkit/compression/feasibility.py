"""What to say when nothing fits: the nearest budget that something would fit."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from toolkit.choice import Selection
from toolkit.compression.allocation import Limits
from toolkit.compression.costs import CostTable
from toolkit.compression.knapsack import Resource, feasible, least
from toolkit.errors import BudgetError
from toolkit.units import format_milliseconds

_NAMES: dict[Resource, str] = {"latency_ms": "latency", "size_bytes": "size", "peak_bytes": "peak memory"}


@dataclass(frozen=True)
class Shortfall:
    """Limits that nothing fits. `alone`: those that nothing fits even if the others are lifted.

    `nearest` are Limits that something fits: one of the given ones raised as little as can be where that is enough,
    else several.
    """

    alone: tuple[Resource, ...]
    nearest: Limits
    raised: tuple[Resource, ...]


def find_shortfall(costs: CostTable, limits: Limits) -> Shortfall | None:
    """Why nothing fits and what would; None if something fits."""
    given = _given(limits)
    if feasible(costs, limits) is not None:
        return None
    alone = tuple(each for each in given if feasible(costs, Limits(**{each: given[each]})) is None)
    for each in (*alone, *(other for other in given if other not in alone)):
        chosen = least(each, costs, Limits(**{**given, each: None}))
        if chosen is not None:
            return Shortfall(alone, Limits(**{**given, each: _taken(each, costs, chosen)}), (each,))
    nearest: dict[Resource, Any] = {}
    for each, limit in given.items():  # the first as low as it goes, then the next within it
        chosen = least(each, costs, Limits(**nearest))
        assert chosen is not None
        nearest[each] = max(_taken(each, costs, chosen), limit)
    return Shortfall(alone, Limits(**nearest), tuple(each for each, limit in given.items() if nearest[each] > limit))


def infeasible(costs: CostTable, limits: Limits) -> BudgetError:
    """The refusal of limits that nothing fits, in the planner's own terms."""
    shortfall = find_shortfall(costs, limits)
    assert shortfall is not None
    wrong = shortfall.alone or tuple(_given(limits))
    return BudgetError(
        f"no allocation meets the {' and the '.join(_NAMES[each] for each in wrong)} budget"
        + ("" if shortfall.alone else " at once"),
        where="budget",
        next=f"The nearest feasible is {' with '.join(_said(shortfall))}.",
    )


def _said(shortfall: Shortfall) -> Iterator[str]:
    nearest = shortfall.nearest
    if "latency_ms" in shortfall.raised and nearest.latency_ms is not None:
        yield f"a planned median of {format_milliseconds(rounded_up(nearest.latency_ms))}"
    if "size_bytes" in shortfall.raised and nearest.size_bytes is not None:
        yield f"--size {-(-nearest.size_bytes // 1000)}KB"
    if "peak_bytes" in shortfall.raised and nearest.peak_bytes is not None:
        yield f"a peak of {-(-nearest.peak_bytes // 1000)}KB"


def rounded_up(milliseconds: float) -> float:
    """Three significant digits that are no less than the value: a limit that is printed must be one that holds."""
    if milliseconds <= 0:
        return milliseconds
    digit = 10.0 ** (math.floor(math.log10(milliseconds)) - 2)
    return math.ceil(milliseconds / digit - 1e-9) * digit


def _given(limits: Limits) -> dict[Resource, Any]:
    return {each: getattr(limits, each) for each in _NAMES if getattr(limits, each) is not None}


def _taken(resource: Resource, costs: CostTable, chosen: Selection) -> float:
    taken = {"latency_ms": costs.latency_ms, "size_bytes": costs.size_bytes, "peak_bytes": costs.peak_bytes}
    return taken[resource](chosen)
