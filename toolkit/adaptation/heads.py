"""The head over a task's classes: the pretrained one where it already knows them, else one fitted to the examples."""

import math
from typing import Literal

import torch
from scipy.stats import binomtest
from torch import nn

from edge_runtime.classes import NEVER
from toolkit.adaptation.ridge import ridge_head
from toolkit.inputs import Inputs
from toolkit.models import Network, Reader
from toolkit.rerun import Call, call
from toolkit.tasks import Examples, Task

HeadStart = Literal["pretrained", "fitted"]
_FOLDS = 5
_BY_CHANCE = 0.05


@torch.no_grad()
def fitted_head(backbone: nn.Module, support: Examples, classes: int) -> nn.Linear:
    """A linear layer that is fitted to the support's features, as a board fits one."""
    features = features_of(backbone, support.x)
    weight, bias = ridge_head(features, support.y, torch.ones(len(support)), classes)
    head = nn.Linear(features.shape[1], classes)
    head.weight.copy_(weight)
    head.bias.copy_(bias)
    return head


@torch.no_grad()
def with_room(head: nn.Linear, classes: int) -> nn.Linear:
    """The same with rows for so many classes more, whose logits are NEVER until a board learns them."""
    wider = nn.Linear(head.in_features, head.out_features + classes)
    wider.weight.copy_(torch.cat([head.weight, torch.zeros(classes, head.in_features)]))
    wider.bias.copy_(torch.cat([head.bias, torch.full((classes,), NEVER)]))
    return wider


@torch.no_grad()
def head_start(network: Network, task: Task) -> HeadStart:
    """Whether the task's classes are the ones that the model was trained on.

    They are if there are as many, and heads that are fitted do not classify the support better, each example by one of
    the others: better by more than one standard deviation of what chance makes of equals. Where each class has one
    example, they are if the pretrained head does better than guessing would.
    """
    if not task.classifies:
        return "pretrained"
    if network.head is None or len(network.head.weight) != len(task.classes):
        return "fitted"
    classes = len(task.classes)
    pretrained = network.head(features_of(network.backbone, task.support.x)).argmax(1) == task.support.y
    fitted, judged = fitted_right(network.backbone, task.support, classes)
    if not judged.any():
        guessed = binomtest(int(pretrained.sum()), len(pretrained), 1 / classes, alternative="greater")
        return "pretrained" if guessed.pvalue < _BY_CHANCE else "fitted"
    won = int((fitted & ~pretrained & judged).sum())
    lost = int((pretrained & ~fitted & judged).sum())
    return "fitted" if won - lost > math.sqrt(won + lost) else "pretrained"


@torch.no_grad()
def fitted_right(backbone: nn.Module, support: Examples, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which examples heads of the others classify rightly, and which could be judged so: (N,) booleans each.

    In five folds; the only example of its class cannot be.
    """
    place = torch.zeros(len(support), dtype=torch.int64)  # of an example among those of its class
    for label in range(classes):
        of_class = support.y == label
        place[of_class] = torch.arange(int(of_class.sum()))
    right = torch.zeros(len(support), dtype=torch.bool)
    judged = torch.bincount(support.y, minlength=classes)[support.y] > 1
    for fold in range(_FOLDS):
        out = (place % _FOLDS == fold) & judged
        if out.any():
            head = fitted_head(backbone, support[~out], classes)
            right[out] = head(features_of(backbone, support.x[out])).argmax(1) == support.y[out]
    return right, judged


def task_head(start: HeadStart, network: Network, backbone: nn.Module, task: Task) -> Reader:
    """The head that `backbone` (dense or compact) starts the task with; its outputs are the features where none is."""
    if start == "pretrained":
        return nn.Identity() if network.head is None else network.head
    return fitted_head(backbone, task.support, len(task.classes))


@torch.no_grad()
def features_of(backbone: nn.Module, x: Inputs, run: Call = call) -> torch.Tensor:
    """Features (N, ...), a batch at a time."""
    return torch.cat([run(backbone, number, part) for number, part in enumerate(x.batches(256))])
