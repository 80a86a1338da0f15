"""Time whole models on the board: what sums of layers miss, and what a process of this size needs in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from torch import nn
from torch.export import ExportedProgram

from toolkit.cache import digest
from toolkit.devices import Agent
from toolkit.errors import BadInput
from toolkit.profiling.measurement import Measurement
from toolkit.profiling.profile import Profile
from toolkit.profiling.profile_file import save_profile
from toolkit.profiling.steady import time_steadily
from toolkit.profiling.time_programs import Timeable, model_timing, time_programs
from toolkit.runtimes import Runtime
from toolkit.runtimes.bundle import inference_graph, serving_tensors

_BATCH = 4
_ONCE = {"runs": 1, "warmups": 0, "budget_ms": 0.0}


class NotStored(BadInput):
    """A whole model is not in the profile, and no board is at hand to time it on."""


@dataclass(frozen=True)
class WholeModel:
    """One model on the board: its times, peak memory of a process that serves it, and the bytes it loads."""

    measurement: Measurement
    peak_bytes: int
    size_bytes: int


@dataclass(frozen=True)
class Untimed:
    """A (compact) backbone with a head, and one example for it (1, *input_shape)."""

    backbone: nn.Module
    head: nn.Linear
    x: torch.Tensor


def time_models(
    agent: Agent | None,
    runtime: Runtime,
    models: list[Untimed],
    profile: Profile,
    path: Path,
    *,
    on_note: Callable[[str], None] = lambda text: None,
) -> tuple[list[WholeModel], Profile]:
    """Export and time models, unless ones of the same operations were timed before; saved after each batch.

    Peak memory is that of a process for each that runs it once and does nothing else. Raises NotStored if something
    was not measured before and there is no agent.
    """
    drawn = [_draw(each) for each in models]
    missing = {each.key: each for each in drawn if not _is_timed(each.key, profile, agent)}
    heavy = {each.key: each for each in drawn if each.key not in profile.process_bytes}
    if missing or heavy:
        if agent is None:
            raise NotStored(
                "a whole model is not in its stored profile",
                where=f"target {profile.target}",
                next=f"Measure it once: `deploy profile --target {profile.target}` with this --model and --task.",
            )
        programs = {key: _timeable(runtime, each) for key, each in (missing | heavy).items()}
        calls = model_timing(profile.clock) | ({"rate_hz": profile.rate_hz} if profile.rate_hz else {})
        for start in range(0, len(missing), _BATCH):
            batch = {key: programs[key] for key in list(missing)[start : start + _BATCH]}
            found = time_steadily(agent, runtime, profile.threads, profile.clock, batch, calls, on_note=on_note)
            sizes = {key: len(timeable.program.data) for key, timeable in batch.items()}
            profile = profile.with_rows(found.rows, {}, found.batch, sizes)
            save_profile(profile, path)
        for key in heavy:
            once = time_programs(agent, runtime, profile.threads, {key: programs[key]}, calls=_ONCE)
            profile = profile.with_rows({}, {key: once.peak_bytes})
            save_profile(profile, path)
    return [
        WholeModel(
            profile.rows[each.key],
            profile.process_bytes[each.key],
            profile.program_bytes[each.key] + _tensors_bytes(each.shapes),
        )
        for each in drawn
    ], profile


def is_stored(model: Untimed, profile: Profile) -> bool:
    """Whether `time_models` needs no board for it."""
    key = _draw(model).key
    return _is_timed(key, profile, None) and key in profile.process_bytes


@dataclass(frozen=True)
class _Drawn:
    """A model as a graph, with what names it and the shapes of what it loads."""

    key: str
    graph: ExportedProgram
    holes: tuple[str, ...]
    input_shape: tuple[int, ...]
    shapes: dict[str, tuple[int, ...]]


def _draw(model: Untimed) -> _Drawn:
    graph, holes = inference_graph(model.backbone, model.head, model.x)
    shapes = {name: value.shape for name, value in serving_tensors(model.backbone, model.head).items()}
    return _Drawn(program_key(graph), graph, holes, tuple(model.x.shape), shapes)


def _timeable(runtime: Runtime, model: _Drawn) -> Timeable:
    return Timeable(runtime.export(model.graph, model.holes), model.input_shape, model.shapes)


def _is_timed(key: str, profile: Profile, agent: Agent | None) -> bool:
    """In full, and at the pace that is asked for now if a board is at hand."""
    row = profile.rows.get(key)
    if row is None or key not in profile.program_bytes:
        return False
    return agent is None or row.paced_rate_hz == profile.rate_hz


def program_key(graph: ExportedProgram) -> str:
    """What names a whole model in a profile: its operations and shapes. Time does not depend on the weights."""
    nodes = []
    for node in graph.graph.nodes:
        value = node.meta.get("val")
        shape = (tuple(value.shape), str(value.dtype)) if isinstance(value, torch.Tensor) else None
        nodes.append((node.op, node.name, str(node.target), str(node.args), str(node.kwargs), shape))
    return "program " + digest(nodes)


def _tensors_bytes(shapes: dict[str, tuple[int, ...]]) -> int:
    """Size of the file in which a bundle keeps arrays of those shapes."""
    return len(save({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}))
