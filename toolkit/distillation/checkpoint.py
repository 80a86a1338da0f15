"""Where a training that was interrupted goes on: all that it changes as it goes, kept in a file every few seconds."""

import os
import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Checkpoint:
    """A file for one training alone: its name must tell apart all that the training depends on.

    It is written every `every_s` seconds, and less often where writing would take more than that `share` of the time.
    """

    file: Path
    every_s: float = 5.0
    share: float = 0.05


@dataclass(frozen=True)
class Training:
    """What changes from step to step: `tensors` in place, the optimiser, its schedule, and what chance draws from."""

    tensors: Sequence[torch.Tensor]
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator


def save_training(file: Path, training: Training, step: int) -> None:
    """Write the state after `step` steps; by one rename, so that a cut leaves the one before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "step": step,
        "tensors": [each.detach() for each in training.tensors],
        "optimizer": training.optimizer.state_dict(),
        "schedule": training.schedule.state_dict(),
        "generator": training.generator.get_state(),
        "global generator": torch.get_rng_state(),
    }
    handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_training(file: Path, training: Training) -> int:
    """Put a training into the state that was written last; returns the steps it has done, 0 where nothing fits it."""
    state = _read(file)
    shapes = [each.shape for each in training.tensors]
    if state is None or [each.shape for each in state["tensors"]] != shapes:
        return 0
    with torch.no_grad():
        for tensor, value in zip(training.tensors, state["tensors"], strict=True):
            tensor.copy_(value)
    training.optimizer.load_state_dict(state["optimizer"])
    training.schedule.load_state_dict(state["schedule"])
    training.generator.set_state(state["generator"])
    torch.set_rng_state(state["global generator"])
    return int(state["step"])


def _read(file: Path) -> dict[str, Any] | None:
    """None of a file that is absent or damaged: the training then begins at its first step."""
    try:
        state = torch.load(file, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        return None
    wanted = {"step", "tensors", "optimizer", "schedule", "generator", "global generator"}
    return state if isinstance(state, dict) and set(state) == wanted else None
