"""What can be had: a default gives way to the nearest feasible; what was asked for is refused on the board's word."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from toolkit import profiling
from toolkit.choice import Selection, all_dense
from toolkit.compression import CostTable, Limits
from toolkit.compression.feasibility import Resource, rounded_up
from toolkit.compression.knapsack import feasible, least
from toolkit.errors import BudgetError
from toolkit.profiling import Budget, Limit, WholeModel
from toolkit.stages.learn import Learned
from toolkit.stages.settle import AIM
from toolkit.stages.watch import Watch
from toolkit.targets import Clock
from toolkit.units import format_bytes, format_milliseconds

Timer = Callable[[Selection], WholeModel]

_FIELDS: dict[Resource, str] = {
    "size_bytes": "size_bytes",
    "peak_bytes": "peak_memory_bytes",
    "latency_ms": "latency_ms",
}
_BEST: dict[Resource, str] = {"size_bytes": "smallest", "peak_bytes": "lightest", "latency_ms": "fastest"}
# A limit at exactly what something takes is lost to rounding.
_ROOM = 1.001
# The peak of one and the same process varies by as much from one run to the next.
_MEMORY_ROOM = 1.02
# Of a budget, what the next measurement of one and the same model may take less.
_BY_CHANCE: dict[Clock, float] = {"wall": 1.15, "instructions": 1.01}
# Halvings of what lies between a default and what the dense model takes.
_STEPS = 8


@dataclass(frozen=True)
class Reached:
    """A budget that something keeps, and what an allocation may be planned with."""

    budget: Budget
    limits: Limits


def is_reached(learned: Learned, budget: Budget) -> bool:
    """Whether something keeps the budget, as far as is known."""
    return feasible(learned.model.costs, profiling.plan_limits(budget, learned.share)) is not None


def reach(learned: Learned, budget: Budget, clock: Clock, time: Timer | None, watch: Watch) -> Reached:
    """The budget, with those defaults that nothing keeps raised to the nearest feasible, which is said.

    A prediction refuses nothing: the board times the allocation that takes least (`time`; None where it is not at
    hand). Raises BudgetError if that takes more than was asked for.
    """
    costs, wanted, held = learned.model.costs, profiling.plan_limits(budget, learned.share), Limits()
    for resource in sorted(_given(budget), key=lambda each: _given(budget)[each].is_default):  # what was asked first
        limit = _given(budget)[resource]
        within = _with(held, resource, getattr(wanted, resource))
        if feasible(costs, within) is None:
            chosen = least(resource, costs, held)
            assert chosen is not None  # what is held so far is feasible
            needed = _needed(resource, chosen, learned, clock, None if time is None else time(chosen))
            taken = _ROOM * _taken(resource, costs, chosen)
            if needed <= limit.value:
                within = _with(held, resource, taken * limit.value / needed)
            elif limit.is_default:
                raised: dict[str, Any] = {_FIELDS[resource]: _raised(resource, limit, needed, watch)}
                budget = replace(budget, **raised)
                within = _with(
                    held, resource, max(taken, getattr(profiling.plan_limits(budget, learned.share), resource))
                )
            else:
                raise _refusal(resource, needed, learned, budget, time is not None)
        held = within
    return Reached(budget, held)


def hold_to(budget: Budget, timed: WholeModel | None, learned: Learned, clock: Clock, watch: Watch) -> Budget:
    """The budget, if what was settled on keeps its latency, or misses it by little; a default is raised, which is said.

    Predictions may promise what the board then does not keep: it is refused before anything is trained. Raises
    BudgetError where that was asked for.
    """
    limit = budget.latency_ms
    if limit is None or timed is None or budget.keep_accuracy is not None:
        return budget
    took_ms = timed.measurement.median_ms * learned.spread
    if took_ms <= _BY_CHANCE[clock] * limit.value:
        return budget
    needed = rounded_up(took_ms / AIM[clock])
    if limit.is_default:
        return replace(budget, latency_ms=_raised("latency_ms", limit, needed, watch))
    raise _refusal("latency_ms", needed, learned, budget, timed=True)


def raise_defaults(
    reached: Reached, learned: Learned, enough: Callable[[Limits], bool], lacking: str, watch: Watch
) -> Reached:
    """With those defaults raised, as little as can be, within which there is something but not `enough`; it is said.

    Some allocators find nothing where another does, and an accuracy may take more memory than a default gives. As it
    was where what was asked for is what hinders. `lacking` is the beginning of the sentence that says so.
    """
    if enough(reached.limits):
        return reached
    costs, limits, budget = learned.model.costs, reached.limits, reached.budget
    defaults = [resource for resource, limit in _given(budget).items() if limit.is_default]
    for resource in defaults:
        taken = _ROOM * _taken(resource, costs, all_dense(costs.parts))
        limits = _with(limits, resource, max(taken, getattr(limits, resource)))
    if not enough(limits):
        return reached
    for resource in defaults:
        low, high = getattr(reached.limits, resource), getattr(limits, resource)
        if enough(_with(limits, resource, low)):
            limits = _with(limits, resource, low)
            continue
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if enough(_with(limits, resource, middle)) else (middle, high)
        limits = _with(limits, resource, high)
        needed = rounded_up(high / learned.share) if resource == "latency_ms" else high
        raised: dict[str, Any] = {
            _FIELDS[resource]: _raised(resource, _given(budget)[resource], needed, watch, lacking)
        }
        budget = replace(budget, **raised)
    return Reached(budget, limits)


def _refusal(resource: Resource, needed: float, learned: Learned, budget: Budget, timed: bool) -> BudgetError:
    """Of what was asked for; what a default could give is no matter of it."""
    defaults = {_FIELDS[each]: None for each, limit in _given(budget).items() if limit.is_default}
    said = f"the {_BEST[resource]} {'takes' if timed else 'is predicted to take'} {_said(resource, needed)}"
    enough = _with(Limits(), resource, needed * (_MEMORY_ROOM if timed and resource == "peak_bytes" else 1))
    asked = replace(budget, **defaults)
    return profiling.unreachable(asked, learned.model.costs, learned.share, said, enough)


def _given(budget: Budget) -> dict[Resource, Limit[Any]]:
    limits = {resource: getattr(budget, field) for resource, field in _FIELDS.items()}
    return {resource: limit for resource, limit in limits.items() if limit is not None}


def _with(limits: Limits, resource: Resource, value: float) -> Limits:
    changed: dict[str, Any] = {resource: value if resource == "latency_ms" else math.ceil(value)}
    return replace(limits, **changed)


def _needed(resource: Resource, chosen: Selection, learned: Learned, clock: Clock, timed: WholeModel | None) -> float:
    """The least budget that this allocation would be held to: as the board measured it, else as predicted."""
    if resource == "latency_ms":
        if timed is None:
            return rounded_up(learned.model.costs.latency_ms(chosen) / learned.share)
        return rounded_up(timed.measurement.median_ms * learned.spread / AIM[clock])
    if timed is None:
        return _taken(resource, learned.model.costs, chosen)
    return timed.size_bytes if resource == "size_bytes" else timed.peak_bytes


def _raised(
    resource: Resource, limit: Limit[Any], needed: float, watch: Watch, lacking: str = "no allocation keeps"
) -> Limit[Any]:
    value = needed if resource == "latency_ms" else math.ceil(needed * _MEMORY_ROOM)
    watch.note(
        f"{lacking} {_said(resource, limit.value)}, which is a default ({limit.source}): "
        f"{_said(resource, value)}, the nearest feasible, is the budget now"
    )
    return Limit(value, f"the nearest feasible to {limit.source}", is_default=True)


def _said(resource: Resource, value: float) -> str:
    return {
        "latency_ms": lambda: f"a p95 of {format_milliseconds(value)}",
        "size_bytes": lambda: format_bytes(int(value)),
        "peak_bytes": lambda: f"{format_bytes(int(value))} of memory",
    }[resource]()


def _taken(resource: Resource, costs: CostTable, chosen: Selection) -> float:
    return {"latency_ms": costs.latency_ms, "size_bytes": costs.size_bytes, "peak_bytes": costs.peak_bytes}[resource](
        chosen
    )
