"""Make the teacher: the dense model, adapted to the task before it is compressed."""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.distillation.fit import fit
from toolkit.tasks import Examples


def teach(
    backbone: nn.Module,
    head: nn.Linear,
    examples: Examples,
    *,
    steps: int,
    learning_rate: float,
    batch: int,
    seed: int,
    on_progress: Callable[[int, int], None],
) -> tuple[nn.Module, nn.Linear]:
    """Copies of backbone (x -> features) and head, fine-tuned with cross-entropy on the task's examples.

    Frozen parameters stay as they are. What is compressed afterwards, and what its cores learn from, is then the model
    that has learned the task. Raises BadInput where there are no examples or training diverges, with the step.
    """
    taught, reads = copy.deepcopy(backbone), copy.deepcopy(head)
    trained: list[torch.Tensor] = [
        each for module in (taught, reads) for each in module.parameters() if each.requires_grad
    ]
    fit(
        [(trained, learning_rate)],
        lambda index, _: F.cross_entropy(reads(taught(examples.x[index])), examples.y[index]),
        len(examples),
        steps=steps,
        batch=batch,
        seed=seed,
        where="teaching the dense model",
        on_progress=on_progress,
    )
    return taught.requires_grad_(False), reads.requires_grad_(False)
