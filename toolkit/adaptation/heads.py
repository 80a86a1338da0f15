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
    return _fitted(features_of(backbone, support.x), support.y, classes)


def _fitted(features: torch.Tensor, y: torch.Tensor, classes: int) -> nn.Linear:
    weight, bias = ridge_head(features, y, torch.ones(len(y)), classes)
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
    features = features_of(network.backbone, task.support.x)
    pretrained = network.head(features).argmax(1) == task.support.y
    fitted, judged = fitted_right(features, task.support.y, classes)
    if not judged.any():
        guessed = binomtest(int(pretrained.sum()), len(pretrained), 1 / classes, alternative="greater")
        return "pretrained" if guessed.pvalue < _BY_CHANCE else "fitted"
    won = int((fitted & ~pretrained & judged).sum())
    lost = int((pretrained & ~fitted & judged).sum())
    return "fitted" if won - lost > math.sqrt(won + lost) else "pretrained"


@torch.no_grad()
def fitted_right(features: torch.Tensor, y: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which examples heads of the others classify rightly, and which could be judged so: (N,) booleans each.

    `features` (N, ...) are the examples', `y` (N,) their classes. In five folds; the only example of a class cannot be.
    """
    place = torch.zeros(len(y), dtype=torch.int64)  # of an example among those of its class
    for label in range(classes):
        of_class = y == label
        place[of_class] = torch.arange(int(of_class.sum()))
    right = torch.zeros(len(y), dtype=torch.bool)
    judged = torch.bincount(y, minlength=classes)[y] > 1
    for fold in range(_FOLDS):
        out = (place % _FOLDS == fold) & judged
        if out.any():
            right[out] = _fitted(features[~out], y[~out], classes)(features[out]).argmax(1) == y[out]
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
