"""Acceptance: prove an installed release on its board before it is activated."""

import time
from dataclasses import dataclass, replace
from typing import Any, Literal

from toolkit.devices import Agent, call
from toolkit.devices.releases.inventory import release_folder
from toolkit.errors import BoardError
from toolkit.profiling.budget import Budget
from toolkit.profiling.measurement import Measurement
from toolkit.profiling.time_programs import timing
from toolkit.units import format_bytes, format_milliseconds

# For bundles whose manifest has no tolerance: they are of an earlier version.
MAX_ABS_DIFFERENCE = 1e-4
# A noisy moment only ever adds time: a measurement over budget is repeated, and the report says how often. What a board
# that counts instructions does besides, such as its own housekeeping, counts there too.
_ATTEMPTS = {"wall": 8, "instructions": 3}
_PAUSE_S = 1.0


@dataclass(frozen=True)
class Refusal:
    """What a release missed, and by how much in words."""

    missed: Literal["outputs", "latency", "memory", "size", "accuracy"]
    reason: str


@dataclass(frozen=True)
class Accepted:
    """What the board measured, and every reason to refuse (none: accepted).

    `max_relative_difference` of its outputs from the host's is a share of the largest value that the host gives for
    the same output, logits and features apart; `tolerance`, the manifest's, is the same for what may be.
    """

    measurement: Measurement
    peak_bytes: int
    max_abs_difference: float
    max_relative_difference: float
    tolerance: float | None
    attempts: int
    conditions: dict[str, Any]
    refusals: tuple[Refusal, ...]


def accept(
    agent: Agent,
    digest: str,
    size_bytes: int,
    budget: Budget,
    *,
    tolerance: float | None,
    threads: int,
    clock: str,
) -> Accepted:
    """Compare outputs with the host's; p95, peak memory and size with the budget.

    `size_bytes` is what serving loads, `tolerance` what the bundle's manifest says of its outputs, if anything. Raises
    BoardError if the release cannot be run.
    """
    for attempt in range(1, _ATTEMPTS[clock] + 1):
        said = call(
            agent,
            "verify",
            {
                "release": release_folder(agent.home, digest),
                "digest": digest,
                "threads": threads,
                **timing(runs=1000, limit_ms=1500.0),
            },
        )
        if said["corrupt"]:
            raise BoardError(f"{', '.join(said['corrupt'])} are corrupt", where=agent.home.where, next="Run again.")
        measurement = Measurement.model_validate(
            {"load_ms": 0.0} | {k: said[k] for k in Measurement.model_fields if k in said}
        )
        measured = Accepted(
            measurement,
            said["peak_bytes"],
            said["max_abs_difference"],
            said["max_relative_difference"],
            tolerance,
            attempt,
            said["conditions"],
            (),
        )
        accepted = judged(measured, size_bytes, budget)
        missed = [refusal.missed for refusal in accepted.refusals]
        if "latency" not in missed or _hopeless(measurement, budget):
            break
        if attempt < _ATTEMPTS[clock]:
            time.sleep(_PAUSE_S)
    return accepted


def judged(accepted: Accepted, size_bytes: int, budget: Budget) -> Accepted:
    """The same measurements, held against that budget."""
    return replace(accepted, refusals=tuple(_refusals(accepted, size_bytes, budget)))


def _hopeless(measurement: Measurement, budget: Budget) -> bool:
    """Whether not even the fastest call kept the budget."""
    return budget.latency_ms is not None and measurement.min_ms > budget.latency_ms.value


def _refusals(found: Accepted, size_bytes: int, budget: Budget) -> list[Refusal]:
    refusals, measurement = [], found.measurement
    if differ := _differ(found):
        refusals.append(Refusal("outputs", differ))
    if budget.latency_ms and measurement.p95_ms > budget.latency_ms.value:
        over = measurement.p95_ms / budget.latency_ms.value - 1
        took = f"p95 is {format_milliseconds(measurement.p95_ms)}"
        refusals.append(
            Refusal("latency", f"{took}, {over:.0%} over the budget of {format_milliseconds(budget.latency_ms.value)}")
        )
    if budget.peak_memory_bytes and found.peak_bytes > budget.peak_memory_bytes.value:
        refusals.append(Refusal("memory", _too_big("peak memory", found.peak_bytes, budget.peak_memory_bytes.value)))
    if budget.size_bytes and size_bytes > budget.size_bytes.value:
        refusals.append(Refusal("size", _too_big("size", size_bytes, budget.size_bytes.value)))
    return refusals


def _differ(found: Accepted) -> str | None:
    """Said so that what is no number is never within a tolerance."""
    if found.tolerance is None:
        if found.max_abs_difference <= MAX_ABS_DIFFERENCE:
            return None
        return f"outputs differ from the host's by {found.max_abs_difference:.2g}, more than {MAX_ABS_DIFFERENCE:g}"
    if found.max_relative_difference <= found.tolerance:
        return None
    share = f"{found.max_relative_difference:.2g} of their size"
    return f"outputs differ from the host's by {share}, more than {found.tolerance:.2g}"


def _too_big(name: str, value: int, limit: int) -> str:
    return f"{name} is {format_bytes(value)}, {value / limit - 1:.1%} over the budget of {format_bytes(limit)}"
