"""Time programs on a board, through the agent."""

import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.devices import Agent, call, check, scratch
from toolkit.profiling.measurement import Measurement
from toolkit.runtimes import Program, Runtime

_WARMUPS = 5


@dataclass(frozen=True)
class Timed:
    """Measurements by identifier, and the peak memory of the one process that made them."""

    rows: dict[str, Measurement]
    peak_bytes: int
    conditions: dict[str, Any]


@dataclass(frozen=True)
class Timeable:
    """A program with the shapes that it is timed on."""

    program: Program
    input_shape: tuple[int, ...]
    hole_shapes: dict[str, tuple[int, ...]]


def time_programs(
    agent: Agent,
    runtime: Runtime,
    threads: int,
    programs: dict[str, Timeable],
    on_row: Callable[[str], None] = lambda name: None,
) -> Timed:
    """Push the programs, time them in one process on the board, remove them. Raises BoardError."""
    rows: dict[str, Measurement] = {}

    def on_event(event: dict[str, Any]) -> None:
        if event["event"] == "measured":
            rows[event["id"]] = Measurement.model_validate({key: event[key] for key in Measurement.model_fields})
            on_row(event["id"])

    with scratch(agent.home, "bench") as folder:
        check(agent.home.device.run(f"mkdir {shlex.quote(folder)}"), "making room", agent.home.where)
        entries = [
            _push_program(agent, f"{folder}/{index}{runtime.suffix}", name, timeable)
            for index, (name, timeable) in enumerate(programs.items())
        ]
        spec = {"runtime": runtime.name, "threads": threads, **timing(), "programs": entries}
        done = call(agent, "bench", spec, on_event=on_event, timeout_s=120.0 + 30.0 * len(entries))
    return Timed(rows, done["peak_bytes"], done["conditions"])


def _push_program(agent: Agent, remote: str, name: str, timeable: Timeable) -> dict[str, Any]:
    """Send one program; returns its entry in the bench's specification."""
    with tempfile.TemporaryDirectory() as local:
        file = Path(local, "program")
        file.write_bytes(timeable.program.data)
        agent.home.device.push(file, remote)
    holes = {hole: timeable.hole_shapes[hole] for hole in timeable.program.holes}
    return {"id": name, "path": remote, "inputs": [timeable.input_shape], "holes": holes}


def timing(*, runs: int = 200, limit_ms: float = 400.0) -> dict[str, float]:
    """How often a program is called, as the agent's verbs take it: as many as fit the limit, ten at the least."""
    return {"runs": runs, "warmups": _WARMUPS, "budget_ms": limit_ms}
