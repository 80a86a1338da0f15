"""Make the teacher: the dense model, adapted to the task before it is compressed."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from toolkit.distillation.fit import fit
from toolkit.objectives import CLASSIFICATION, Objective
from toolkit.tasks import Examples


def teach(
    backbone: nn.Module,
    head: nn.Linear,
    examples: Examples,
    *,
    steps: int,
    learning_rate: float,
    head_rate: float,
    batch: int,
    seed: int,
    on_progress: Callable[[int, int], None],
    objective: Objective = CLASSIFICATION,
) -> tuple[nn.Module, nn.Linear]:
    """Copies of backbone (x -> features) and head, fine-tuned by the objective on the task's examples.

    The head, new to the task, learns at a rate of its own. Frozen parameters stay as they are. What is compressed
    afterwards, and what its cores learn from, is then the model that has learned the task. Raises BadInput where there
    are no examples or training diverges, with the step.
    """
    taught, reads = copy.deepcopy(backbone), copy.deepcopy(head)
    pretrained: list[torch.Tensor] = [each for each in taught.parameters() if each.requires_grad]
    new: list[torch.Tensor] = [each for each in reads.parameters() if each.requires_grad]
    fit(
        [(pretrained, learning_rate), (new, head_rate)],
        lambda index, _: objective.loss(reads(taught(*examples.x[index])), examples.y[index]).mean(),
        len(examples),
        steps=steps,
        batch=batch,
        seed=seed,
        where="teaching the dense model",
        on_progress=on_progress,
    )
    return taught.requires_grad_(False), reads.requires_grad_(False)
