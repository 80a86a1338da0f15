"""Measure an installed release where it lies on the board, in the rounds that a comparison needs."""

import datetime
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from safetensors import safe_open

from toolkit.devices import Agent, call, scratch
from toolkit.devices.home import push_bytes
from toolkit.devices.releases.inventory import release_folder
from toolkit.profiling import timing
from toolkit.runtimes import RUNTIMES
from toolkit.runtimes.bundle import TENSORS, Bundle
from toolkit.stages.probe import Board
from toolkit.testing.reference import INPUT_SHAPE, REFERENCE, reference_program
from toolkit.testing.samples import Samples

# A process lays out its memory once, for better or worse: on a wall clock every round is a process of its own. What
# an instruction count varies by is another load of the program, and a process there takes seconds to start.
_PROCESSES, _TURNS = 10, 3
_LOADS = 5
_CALLS, _TURN_MS = 30, 30.0


def sample(board: Board, bundle: Bundle) -> Samples:
    """Time the release as installed, not as adapted. Raises BoardError."""
    target, manifest = board.target, bundle.manifest
    release = {
        "path": f"{release_folder(board.home, bundle.digest)}/{manifest['infer']['program']}",
        "inputs": [[1, *manifest["input_shape"]]],
        "holes": _hole_shapes(bundle),
    }
    spec = {"runtime": manifest["runtime"], "threads": target.threads, **timing(runs=_CALLS, limit_ms=_TURN_MS)}
    release_ms: list[float] = []
    reference_ms: list[float] = []
    said: list[dict[str, dict[str, Any]]] = []
    if target.clock == "instructions":
        release_ms, conditions = _bench(board.agent, spec, [release] * _LOADS)
        said.append(conditions)
    else:
        with _reference(board.agent, manifest["runtime"]) as reference:
            for _ in range(_PROCESSES):
                medians, conditions = _bench(board.agent, spec, [reference, release] * _TURNS)
                said.append(conditions)
                reference_ms.append(statistics.median(medians[::2]))
                release_ms.append(statistics.median(medians[1::2]))
    return Samples(
        target=target.name,
        device=board.facts.identity(),
        runtime=manifest["runtime"],
        runtime_version=board.runtime_version,
        threads=target.threads,
        clock=target.clock,
        release=bundle.digest,
        reference=REFERENCE if reference_ms else None,
        release_ms=tuple(release_ms),
        reference_ms=tuple(reference_ms),
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        conditions={"before": said[0]["before"], "after": said[-1]["after"]},
    )


def _bench(
    agent: Agent, spec: dict[str, Any], programs: list[dict[str, Any]]
) -> tuple[list[float], dict[str, dict[str, Any]]]:
    """Load and time the programs in turn, in one process; median milliseconds of each, and the conditions."""
    medians: list[float] = []

    def on_event(event: dict[str, Any]) -> None:
        if event["event"] == "measured":
            medians.append(event["median_ms"])

    numbered = [{"id": str(index), **program} for index, program in enumerate(programs)]
    done = call(agent, "bench", {**spec, "programs": numbered}, on_event=on_event)
    return medians, done["conditions"]


def _hole_shapes(bundle: Bundle) -> dict[str, list[int]]:
    with safe_open(bundle.folder / TENSORS, framework="np") as tensors:
        return {hole: tensors.get_slice(hole).get_shape() for hole in bundle.manifest["infer"]["holes"]}


@contextmanager
def _reference(agent: Agent, runtime: str) -> Iterator[dict[str, Any]]:
    """The reference workload on the board, for as long as it is needed."""
    with scratch(agent.home, f"reference{RUNTIMES[runtime].suffix}") as path:
        push_bytes(agent.home, reference_program(runtime).data, path)
        yield {"path": path, "inputs": [INPUT_SHAPE], "holes": {}}
