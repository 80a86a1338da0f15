"""Train the cores of a compact model with the dense model as teacher."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.distillation.losses import kd
from toolkit.tasks import Examples

Head = Callable[[torch.Tensor], torch.Tensor]

_BATCH, _LEARNING_RATE, _TEMPERATURE, _TASK_WEIGHT = 64, 2e-3, 2.0, 0.3


def recover(
    student: nn.Module,
    teacher: nn.Module,
    head: Head,
    examples: Examples,
    *,
    steps: int,
    jitter: float,
    seed: int,
    on_progress: Callable[[int, int], None],
) -> None:
    """Move the student's cores, in place, towards the teacher: temperature KL plus cross-entropy on the labels.

    Student and teacher are backbones (x -> features) read by the same frozen `head`. Inputs get Gaussian noise of
    `jitter` standard deviations of the data, so that a small set is not learned by heart.
    """
    cores = [parameter for parameter in student.parameters() if parameter.requires_grad]
    if not cores or steps == 0:
        return
    generator = torch.Generator().manual_seed(seed)
    noise = jitter * float(examples.x.std())
    optimizer = torch.optim.Adam(cores, lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
    for step in range(steps):
        index = torch.randint(len(examples), (min(_BATCH, len(examples)),), generator=generator)
        x = examples.x[index]
        x = x + noise * torch.randn(x.shape, generator=generator)
        with torch.no_grad():
            taught = head(teacher(x))
        logits = head(student(x))
        loss = kd(logits, taught, _TEMPERATURE) + _TASK_WEIGHT * F.cross_entropy(logits, examples.y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        on_progress(step + 1, steps)
