"""Gradient descent with one schedule, for everything that this package trains."""

import math
import time
from collections.abc import Callable, Sequence

import torch

from toolkit.distillation.checkpoint import Checkpoint, Training, load_training, save_training
from toolkit.errors import BadInput

Groups = list[tuple[list[torch.Tensor], float]]
Draw = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def fit(
    groups: Groups,
    loss: Draw,
    examples: int,
    *,
    steps: int,
    batch: int,
    seed: int,
    where: str,
    on_progress: Callable[[int, int], None],
    checkpoint: Checkpoint | None = None,
    buffers: Sequence[torch.Tensor] = (),
) -> None:
    """Adam with a one-cycle schedule (Smith & Topin 2018) on `loss(index, generator)`; `index` (batch,) draws examples.

    `groups` are parameters with their highest learning rate, `buffers` what else `loss` changes. With a `checkpoint`, a
    training that was interrupted goes on from there, and ends as one that was not. Raises BadInput that names the step
    where there is nothing to learn from, or the loss or its gradient is no longer finite.
    """
    if examples == 0:
        raise BadInput("there is no example to learn from", where=where, next="Give the task examples.")
    if steps == 0:
        return
    groups = [(parameters, rate) for parameters, rate in groups if parameters]
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([{"params": parameters, "lr": rate} for parameters, rate in groups], fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [rate for _, rate in groups], total_steps=steps)
    trained = [parameter for parameters, _ in groups for parameter in parameters]
    training = Training([*trained, *buffers], optimizer, schedule, generator)
    begin = load_training(checkpoint.file, training) if checkpoint else 0
    saved, saving_s = time.monotonic(), 0.0
    for step in range(begin, steps):
        index = torch.randint(examples, (min(batch, examples),), generator=generator)
        optimizer.zero_grad()
        value = loss(index, generator)
        _require_finite("the loss", float(value.detach()), step + 1, steps, where)
        value.backward()
        gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
        _require_finite("the gradient", float(torch.nn.utils.get_total_norm(gradients)), step + 1, steps, where)
        optimizer.step()
        schedule.step()
        now = time.monotonic()
        if checkpoint and now - saved >= max(checkpoint.every_s, saving_s / checkpoint.share):
            save_training(checkpoint.file, training, step + 1)
            saved = time.monotonic()
            saving_s = saved - now
        on_progress(step + 1, steps)


def _require_finite(what: str, value: float, step: int, steps: int, where: str) -> None:
    if not math.isfinite(value):
        raise BadInput(
            f"{what} is {value} at step {step} of {steps}",
            where=where,
            next="Lower recovery.rate (--set recovery.rate=5e-4), or look for extreme values in inputs and weights.",
        )
