"""Time programs on a board, through the agent, each in a process of its own there."""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors.torch import save

from toolkit.devices import Agent, call, check, scratch
from toolkit.devices.home import push_bytes
from toolkit.errors import BoardError
from toolkit.inputs import Inputs
from toolkit.profiling.measurement import Measurement
from toolkit.runtimes import Program, Runtime
from toolkit.targets import Clock

_REFERENCE = ("reference at the start", "reference at the end")


@dataclass(frozen=True)
class Timed:
    """Measurements by identifier, and the peak memory of the process that made each.

    `conditions` are the board's before and after; `reference_ms` are the least of one program, timed first and last;
    `busy_share` is the least share of the processor that one of them had.
    """

    rows: dict[str, Measurement]
    peak_bytes: dict[str, int]
    conditions: dict[str, Any]
    busy_share: float
    reference_ms: tuple[float, float] | None = None


@dataclass(frozen=True)
class Timeable:
    """A program, the inputs that it is timed on, or the shape of some that the board draws, and shapes of its holes."""

    program: Program
    inputs: Inputs | tuple[int, ...]
    hole_shapes: dict[str, tuple[int, ...]]


def timing(*, runs: int = 200, warmups: int = 5, limit_ms: float = 400.0) -> dict[str, float]:
    """How often a program is called, as the agent's verbs take it: as many as fit the limit, ten at the least."""
    return {"runs": runs, "warmups": warmups, "budget_ms": limit_ms}


def layer_timing(clock: Clock) -> dict[str, float]:
    """For a layer, of which the median counts. Instructions repeat to under 1 %: few calls tell as much."""
    return timing() if clock == "wall" else timing(runs=5, warmups=2)


def model_timing(clock: Clock) -> dict[str, float]:
    """For a whole model, whose p95 counts too."""
    return timing() if clock == "wall" else timing(runs=10, warmups=2)


def time_programs(
    agent: Agent,
    runtime: Runtime,
    threads: int,
    programs: dict[str, Timeable],
    on_row: Callable[[str], None] = lambda name: None,
    *,
    calls: dict[str, float] | None = None,
    reference: Timeable | None = None,
) -> Timed:
    """Push the programs, time them on the board, remove them. Raises BoardError."""
    rows: dict[str, Measurement] = {}
    peaks: dict[str, int] = {}
    shares: list[float] = []

    def on_event(event: dict[str, Any]) -> None:
        if event["event"] == "measured":
            rows[event["id"]] = _measurement(event, agent.home.where)
            shares.append(event["busy_share"])
            if event["id"] not in _REFERENCE:
                peaks[event["id"]] = event["peak_bytes"]
                on_row(event["id"])

    with scratch(agent.home, "bench") as folder:
        check(agent.home.run(f"mkdir {agent.home.within(folder)}"), "making room", agent.home.where)
        given = _push_inputs(agent, folder, programs.values())
        entries = [
            _push_program(agent, f"{folder}/{index}{runtime.suffix}", name, timeable, given)
            for index, (name, timeable) in enumerate(programs.items())
        ]
        if reference:
            first = _push_program(agent, f"{folder}/reference{runtime.suffix}", _REFERENCE[0], reference, {})
            entries = [first, *entries, first | {"id": _REFERENCE[1]}]
        spec = {"runtime": runtime.name, "threads": threads, **(calls or timing()), "programs": entries}
        done = call(agent, "bench", spec, on_event=on_event, timeout_s=300.0 + 60.0 * len(entries))
    absent = [entry["id"] for entry in entries if entry["id"] not in rows]
    if absent:
        raise BoardError(f"the agent did not time {absent[0]}", where=agent.home.where)
    references = [rows.pop(name).min_ms for name in _REFERENCE if name in rows]
    ends = (references[0], references[1]) if len(references) == 2 else None
    return Timed(rows, peaks, done["conditions"], min(shares), ends)


def _measurement(event: dict[str, Any], where: str) -> Measurement:
    try:
        return Measurement.model_validate({key: event[key] for key in Measurement.model_fields if key in event})
    except ValidationError as error:
        wrong = error.errors(include_input=False)[0]
        said = f"{'.'.join(map(str, wrong['loc']))} {wrong['msg']}".strip()
        raise BoardError(f"its agent measured what cannot be ({said})", where=where, next="Run again.") from None


def _push_inputs(agent: Agent, folder: str, programs: Iterable[Timeable]) -> dict[Inputs, str]:
    """Send what programs are timed on, once where several are timed on the same: files on the board."""
    distinct = {each.inputs: each.inputs for each in programs if isinstance(each.inputs, Inputs)}
    sent = {each: f"{folder}/inputs-{index}" for index, each in enumerate(distinct)}
    for each, remote in sent.items():
        push_bytes(agent.home, save({name: value.contiguous() for name, value in each.tensors.items()}), remote)
    return sent


def _push_program(
    agent: Agent, remote: str, name: str, timeable: Timeable, given: Mapping[Inputs, str]
) -> dict[str, Any]:
    """Send one program; returns its entry in the bench's specification."""
    with tempfile.TemporaryDirectory() as local:
        file = Path(local, "program")
        file.write_bytes(timeable.program.data)
        agent.home.push(file, remote)
    program = timeable.program
    return {
        "id": name,
        "path": remote,
        **_described(timeable.inputs, given),
        "input_type": program.input_type,
        "holes": {hole: timeable.hole_shapes[hole] for hole in program.holes},
        "quantised_holes": list(program.quantised_holes),
    }


def _described(inputs: Inputs | tuple[int, ...], given: Mapping[Inputs, str]) -> dict[str, Any]:
    if isinstance(inputs, Inputs):
        return {"example": {"path": given[inputs], "names": list(inputs.tensors)}}
    return {"inputs": [inputs]}
