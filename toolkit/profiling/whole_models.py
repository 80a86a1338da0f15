"""Time whole models on the board: what sums of layers miss, and what a process of this size needs in memory."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from torch import nn

from toolkit.devices import Agent
from toolkit.profiling.measurement import Measurement
from toolkit.profiling.profile import Profile, save_profile
from toolkit.profiling.time_programs import Timeable, time_programs
from toolkit.runtimes import Program, Runtime
from toolkit.runtimes.bundle import export_inference, serving_tensors


@dataclass(frozen=True)
class WholeModel:
    """One model on the board: its times, peak memory of a process that serves it, and the bytes it loads."""

    measurement: Measurement
    peak_bytes: int
    size_bytes: int


def time_model(
    agent: Agent, runtime: Runtime, backbone: nn.Module, head: nn.Linear, x: torch.Tensor, profile: Profile, path: Path
) -> tuple[WholeModel, Profile]:
    """Export and time a (compact) model in a process of its own, unless this very program was timed before."""
    program = export_inference(runtime, backbone, head, x)
    shapes = {name: value.shape for name, value in serving_tensors(backbone, head).items()}
    return time_program(agent, runtime, program, tuple(x.shape), shapes, profile, path)


def time_program(
    agent: Agent,
    runtime: Runtime,
    program: Program,
    input_shape: tuple[int, ...],
    hole_shapes: dict[str, tuple[int, ...]],
    profile: Profile,
    path: Path,
) -> tuple[WholeModel, Profile]:
    """Time one program in a process of its own, unless this very program was timed before."""
    key = "program " + hashlib.sha256(program.data).hexdigest()
    if key not in profile.rows or key not in profile.process_bytes:
        timeable = Timeable(program, input_shape, hole_shapes)
        timed = time_programs(agent, runtime, profile.threads, {key: timeable})
        profile = profile.with_rows(timed.rows, {key: timed.peak_bytes})
        save_profile(profile, path)
    return WholeModel(
        profile.rows[key], profile.process_bytes[key], len(program.data) + _tensors_bytes(hole_shapes)
    ), profile


def _tensors_bytes(shapes: dict[str, tuple[int, ...]]) -> int:
    """Size of the file in which a bundle keeps arrays of those shapes."""
    return len(save({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}))
