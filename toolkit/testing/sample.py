"""Measure an installed release where it lies on the board, in the rounds that a comparison needs."""

import datetime
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from safetensors import safe_open

from toolkit.devices import Agent, call, scratch
from toolkit.devices.home import push_bytes
from toolkit.devices.releases.inventory import release_folder
from toolkit.profiling import timing
from toolkit.profiling.conditions import disturbances
from toolkit.runtimes import RUNTIMES
from toolkit.runtimes.bundle import TENSORS, Bundle
from toolkit.stages.probe import Board
from toolkit.targets import Clock
from toolkit.testing.reference import INPUT_SHAPE, REFERENCE, reference_program
from toolkit.testing.samples import Samples

# A process lays out its memory once, for better or worse: on a wall clock every round is a process of its own. What
# an instruction count varies by is another load of the program, and a process there takes seconds to start.
_PROCESSES, _TURNS = 10, 3
_LOADS = 5
# A process that was disturbed is started again, this often in all; then its samples say so.
_ATTEMPTS = 3
_LEAST_BUSY_SHARE = 0.9
_CALLS, _TURN_MS = 30, 30.0


def sample(board: Board, bundle: Bundle) -> Samples:
    """Time the release as installed, not as adapted. Raises BoardError."""
    target, manifest = board.target, bundle.manifest
    folder = release_folder(board.home, bundle.digest)
    release = {
        "path": f"{folder}/{manifest['infer']['program']}",
        "example": {
            "path": f"{folder}/acceptance.safetensors",
            "names": [f"inputs.{port['name']}" for port in manifest["inputs"]],
        },
        "holes": _hole_shapes(bundle),
        "quantised_holes": manifest["infer"].get("quantised_holes", []),
    }
    spec = {"runtime": manifest["runtime"], "threads": target.threads, **timing(runs=_CALLS, limit_ms=_TURN_MS)}
    release_ms: list[float] = []
    reference_ms: list[float] = []
    processes: list[_Process] = []
    if target.family.clock == "instructions":
        processes.append(
            _undisturbed(board.agent, target.family.clock, {**spec, "programs": _numbered([release] * _LOADS)})
        )
        release_ms += processes[0].medians_ms
    else:
        with _reference(board.agent, manifest["runtime"]) as reference:
            turns = {**spec, "programs": _numbered([reference, release] * _TURNS)}
            for _ in range(_PROCESSES):
                processes.append(_undisturbed(board.agent, target.family.clock, turns))
                reference_ms.append(statistics.median(processes[-1].medians_ms[::2]))
                release_ms.append(statistics.median(processes[-1].medians_ms[1::2]))
    return Samples(
        target=target.name,
        device=board.facts.identity(),
        runtime=manifest["runtime"],
        runtime_version=board.runtime_version,
        threads=target.threads,
        clock=target.family.clock,
        release=bundle.digest,
        reference=REFERENCE if reference_ms else None,
        release_ms=tuple(release_ms),
        reference_ms=tuple(reference_ms),
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        conditions={"before": processes[0].conditions["before"], "after": processes[-1].conditions["after"]},
        disturbed=tuple(dict.fromkeys(reason for each in processes for reason in each.disturbed)),
    )


@dataclass(frozen=True)
class _Process:
    """One process of the agent: the median of each program, in turn, and what disturbed them."""

    medians_ms: list[float]
    conditions: dict[str, dict[str, Any]]
    disturbed: tuple[str, ...]


def _numbered(programs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": str(index), **program} for index, program in enumerate(programs)]


def _undisturbed(agent: Agent, clock: Clock, spec: dict[str, Any]) -> _Process:
    for _ in range(_ATTEMPTS):
        process = _bench(agent, clock, spec)
        if not process.disturbed:
            break
    return process


def _bench(agent: Agent, clock: Clock, spec: dict[str, Any]) -> _Process:
    """Load and time the programs in turn, in one process.

    On an instruction clock other programs' instructions count too, temperature and frequency do not; on a wall clock
    other programs slow the reference as well.
    """
    medians: list[float] = []
    shares: list[float] = []

    def on_event(event: dict[str, Any]) -> None:
        if event["event"] == "measured":
            medians.append(event["median_ms"])
            shares.append(event["busy_share"])

    conditions = call(agent, "bench", spec, on_event=on_event)["conditions"]
    if clock == "wall":
        reasons = [each.reason for each in disturbances(conditions["before"], conditions["after"])]
    else:
        others = 1 - min(shares)
        reasons = [f"other programs had {others:.0%} of the processor"] if others > 1 - _LEAST_BUSY_SHARE else []
    return _Process(medians, conditions, tuple(reasons))


def _hole_shapes(bundle: Bundle) -> dict[str, list[int]]:
    with safe_open(bundle.folder / TENSORS, framework="np") as tensors:
        return {hole: tensors.get_slice(hole).get_shape() for hole in bundle.manifest["infer"]["holes"]}


@contextmanager
def _reference(agent: Agent, runtime: str) -> Iterator[dict[str, Any]]:
    """The reference workload on the board, for as long as it is needed."""
    with scratch(agent.home, f"reference{RUNTIMES[runtime].suffix}") as path:
        push_bytes(agent.home, reference_program(runtime).data, path)
        yield {"path": path, "inputs": [INPUT_SHAPE], "holes": {}}
