"""The programs that a board learns by, made of small networks and run step by step."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from networks import loaded, zeros
from torch import nn

from toolkit.adaptation.heads import HeadStart
from toolkit.inputs import inputs_of
from toolkit.objectives import CLASSIFICATION, Objective
from toolkit.runtimes import Program, Runtime, onnxruntime
from toolkit.runtimes.learning import Learning
from toolkit.stages.learning import export_learning

# Takes what a program takes.
Run = Callable[[list[np.ndarray]], list[np.ndarray]]


def learning_of(
    runtime: Runtime,
    backbone: nn.Module,
    head: nn.Linear,
    x: torch.Tensor,
    start: HeadStart = "pretrained",
    objective: Objective = CLASSIFICATION,
) -> Learning:
    """Of as many examples as `x` has, the classes, or the labels, in turn."""
    labels = torch.arange(len(x)) % head.out_features
    if objective is not CLASSIFICATION:
        labels = torch.eye(head.out_features)[labels]
    return export_learning(runtime, backbone, head, start, inputs_of(x), labels, objective)


def whole_of(backbone: nn.Module, head: nn.Linear) -> nn.Sequential:
    """Both under the names that trainables have."""
    whole = nn.Sequential()
    whole.add_module("backbone", backbone)
    whole.add_module("head", head)
    return whole


def take_steps(
    gradient: Run, update: Run, x: np.ndarray, y: np.ndarray, values: Sequence[np.ndarray], steps: int, lr: float
) -> tuple[list[float], list[np.ndarray]]:
    """Mean losses before each step on all examples at once, and the values after the last."""
    state, losses, values = zeros(values), [], list(values)
    scalars = [np.float32(each) for each in (len(x), lr, 1e-8)]
    for _ in range(steps):
        each, _, *sums = gradient([x, y, np.ones(len(x), np.float32), *values])
        losses.append(float(each.mean()))
        made = update([*scalars, *sums, *values, *state])
        values, state = made[: len(values)], made[len(values) :]
    return losses, values


def loaded_steps(runtime: Runtime, learning: Learning, folder: Path) -> tuple[Run, Run]:
    """Gradient and update as the board's agent loads them."""
    gradient = loaded_program(learning.gradient, folder / "gradient", runtime)
    return gradient, loaded_program(learning.update, folder / "update", runtime)


def loaded_program(program: Program, folder: Path, runtime: Runtime = onnxruntime) -> Run:
    """In a folder of its own."""
    folder.mkdir(exist_ok=True)
    return loaded(runtime, program, folder)
