"""The head over a task's classes: the pretrained one where it already knows them, else prototypes."""

from typing import Literal

import torch
from torch import nn

from toolkit.devices.agent.prototype import prototype_head
from toolkit.models import Network
from toolkit.tasks import Examples, Task

HeadStart = Literal["pretrained", "prototype"]


@torch.no_grad()
def prototype_linear(backbone: nn.Module, support: Examples, classes: int) -> nn.Linear:
    """A linear layer whose argmax is the nearest class mean of the support features."""
    weight, bias = prototype_head(features_of(backbone, support.x).numpy(), support.y.numpy(), classes)
    head = nn.Linear(weight.shape[1], classes)
    head.weight.copy_(torch.from_numpy(weight))
    head.bias.copy_(torch.from_numpy(bias))
    return head


@torch.no_grad()
def head_start(network: Network, task: Task) -> HeadStart:
    """Whether the task's classes are the ones that the model was trained on.

    They are if there are as many, and the pretrained head classifies the support at least as well as prototypes would.
    """
    if network.head is None or network.head.out_features != len(task.classes):
        return "prototype"
    features = features_of(network.backbone, task.support.x)
    own = prototype_linear(network.backbone, task.support, len(task.classes))
    pretrained, prototypes = (
        float((head(features).argmax(1) == task.support.y).float().mean()) for head in (network.head, own)
    )
    return "pretrained" if pretrained >= prototypes else "prototype"


def task_head(start: HeadStart, network: Network, backbone: nn.Module, task: Task) -> nn.Linear:
    """The head that `backbone` (dense or compact) starts the task with."""
    if start == "pretrained" and network.head is not None:
        return network.head
    return prototype_linear(backbone, task.support, len(task.classes))


@torch.no_grad()
def features_of(backbone: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Features (N, feature_size), a batch at a time."""
    return torch.cat([backbone(part) for part in x.split(256)])
