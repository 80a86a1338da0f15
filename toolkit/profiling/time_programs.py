"""Time programs on a board, through the agent."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.devices import Agent, call, check
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
    folder = agent.at("work", "bench")
    check(agent.device.run(f"rm -rf '{folder}' && mkdir -p '{folder}'"), "making room", agent.where)
    entries, rows = [], {}
    with tempfile.TemporaryDirectory() as local:
        for index, (name, timeable) in enumerate(programs.items()):
            file = Path(local, f"{index}{runtime.suffix}")
            file.write_bytes(timeable.program.data)
            agent.device.push(file, f"{folder}/{file.name}")
            entries.append(
                {
                    "id": name,
                    "path": f"{folder}/{file.name}",
                    "inputs": [timeable.input_shape],
                    "holes": {hole: timeable.hole_shapes[hole] for hole in timeable.program.holes},
                }
            )

    def on_event(event: dict[str, Any]) -> None:
        if event["event"] == "measured":
            rows[event["id"]] = Measurement.model_validate({key: event[key] for key in Measurement.model_fields})
            on_row(event["id"])

    spec = {"runtime": runtime.name, "threads": threads, **timing(), "programs": entries}
    try:
        done = call(agent, "bench", spec, on_event=on_event, timeout_s=120.0 + 30.0 * len(entries))
    finally:
        agent.device.run(f"rm -rf '{folder}'")
    return Timed(rows, done["peak_bytes"], done["conditions"])


def timing(*, runs: int = 200, limit_ms: float = 400.0) -> dict[str, float]:
    """How often a program is called, as the agent's verbs take it: as many as fit the limit, ten at the least."""
    return {"runs": runs, "warmups": _WARMUPS, "budget_ms": limit_ms}
