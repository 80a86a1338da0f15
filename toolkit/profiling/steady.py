"""Time a batch on a board that holds still: cool down and repeat where it did not, then flag, never keep in silence."""

import datetime
import functools
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import nn

from toolkit.devices import Agent, probe
from toolkit.profiling.conditions import Disturbance, disturbances, too_hot
from toolkit.profiling.measurement import MOST_SPREAD, Flag, Measurement
from toolkit.profiling.profile import Batch
from toolkit.profiling.time_programs import Timeable, Timed, time_programs
from toolkit.runtimes import RUNTIMES, Runtime
from toolkit.targets import Clock
from toolkit.units import format_milliseconds

# The least of one program, timed first and last in a batch: further apart, and the clock is not the same one. Medians
# of so short a program were 18 % apart on an idle machine. Its weights must fit a core's own cache: with 1 MB of them
# some processes were 10 % slower than others all along.
_MOST_REFERENCE_DRIFT = 0.10
_REFERENCE_SHAPE = (256, 128)
_LEAST_BUSY_SHARE = 0.9
_MOMENT_S = 1.0


@dataclass(frozen=True)
class Patience:
    """How often a disturbed batch is timed in all, and how long a hot board is waited for in between."""

    attempts: int = 3
    cool_down_s: float = 120.0
    look_every_s: float = 5.0


@dataclass(frozen=True)
class Steady:
    """Rows, flagged if every attempt was disturbed, with peak memory, and the batch that they make in a profile."""

    rows: dict[str, Measurement]
    peak_bytes: dict[str, int]
    batch: Batch


def time_steadily(
    agent: Agent,
    runtime: Runtime,
    threads: int,
    clock: Clock,
    programs: dict[str, Timeable],
    calls: dict[str, float],
    *,
    on_row: Callable[[str], None] = lambda name: None,
    on_note: Callable[[str], None] = lambda text: None,
    patience: Patience = Patience(),
    judged_by_p95: Collection[str] = (),
) -> Steady:
    """Time programs in one batch, again while something disturbs them. Raises BoardError.

    Of `judged_by_p95`, a p95 far above the median is a disturbance, too: a budget may be made of it. An instruction
    clock counts the same at every temperature and frequency: there only other programs disturb.
    """
    started = time.monotonic()
    attempts = patience.attempts
    reference = _reference(runtime.name) if clock == "wall" else None
    for attempt in range(1, attempts + 1):
        timed = time_programs(agent, runtime, threads, programs, on_row, calls=calls, reference=reference)
        found = _disturbed(timed, clock, judged_by_p95)
        if not found:
            break
        reasons = "; ".join(each.reason for each in found)
        if attempt == attempts:
            on_note(f"programs flagged: {len(programs)}, disturbed {attempts} times: {reasons}")
        else:
            on_note(f"disturbed ({reasons}): timed again once the board is calm, {attempt + 1} of {attempts}")
            _cool_down(agent, patience, on_note)
    flags: tuple[Flag, ...] = tuple(dict.fromkeys(each.flag for each in found))
    batch = Batch(
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        rows=tuple(timed.rows),
        attempts=attempt,
        seconds=round(time.monotonic() - started, 3),
        before=timed.conditions["before"],
        after=timed.conditions["after"],
        flags=flags,
        reasons=tuple(each.reason for each in found),
    )
    rows = {key: row.model_copy(update={"flags": flags}) for key, row in timed.rows.items()}
    return Steady(rows, timed.peak_bytes, batch)


def _disturbed(timed: Timed, clock: Clock, judged_by_p95: Collection[str]) -> tuple[Disturbance, ...]:
    found: tuple[Disturbance, ...] = ()
    if timed.busy_share < _LEAST_BUSY_SHARE:
        found += (Disturbance("contended", f"other programs had {1 - timed.busy_share:.0%} of the processor"),)
    if clock == "wall":
        found += disturbances(timed.conditions["before"], timed.conditions["after"])
        found += tuple(_far_above(timed.rows[name]) for name in judged_by_p95 if has_long_tail(timed.rows[name]))
    if timed.reference_ms:
        first, last = timed.reference_ms
        if abs(last / first - 1) > _MOST_REFERENCE_DRIFT:
            found += (Disturbance("drifted", f"one program took {first:.3g} ms first and {last:.3g} ms last"),)
    return found


def has_long_tail(row: Measurement) -> bool:
    """Whether its p95 is further above its median than a model's own."""
    return row.p95_ms > MOST_SPREAD * row.median_ms


def _far_above(row: Measurement) -> Disturbance:
    times = format_milliseconds(row.p95_ms), format_milliseconds(row.median_ms)
    return Disturbance("contended", f"a p95 of {times[0]} is far above its median of {times[1]}")


def _cool_down(agent: Agent, patience: Patience, on_note: Callable[[str], None]) -> None:
    """Until the board no longer slows itself down; a moment at least, in which other programs may end."""
    until = time.monotonic() + patience.cool_down_s
    time.sleep(_MOMENT_S)
    while too_hot(now := probe(agent).conditions) and time.monotonic() < until:
        temperature = now.get("temperature_c")
        on_note("cooling down" + (f", {temperature:.0f} °C" if temperature is not None else ""))
        time.sleep(patience.look_every_s)


@functools.cache
def _reference(runtime: str) -> Timeable:
    """Some 0.2 ms of work on a small board: long enough to be timed well, too short to heat anything."""
    rows, width = _REFERENCE_SHAPE
    with torch.random.fork_rng():
        [program] = RUNTIMES[runtime].export_layers([nn.Linear(width, width)], [torch.zeros(rows, width)])
    return Timeable(program, (rows, width), {})
