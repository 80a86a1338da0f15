"""The nearest class mean as a linear layer (Snell et al. 2017, section 2.4): few-shot protocols are published by it."""

import torch
from torch import nn

from toolkit.adaptation import features_of
from toolkit.tasks import Examples

_LOGIT_SPREAD = 2.0


@torch.no_grad()
def prototype_linear(backbone: nn.Module, support: Examples, classes: int) -> nn.Linear:
    """A linear layer whose argmax is the nearest class mean of the support features."""
    features = features_of(backbone, support.x)
    means = torch.stack([features[support.y == label].mean(0) for label in range(classes)])
    centre = means.mean(0)  # distances do not change when both sides move; numbers stay small
    weight = 2 * (means - centre)
    bias = -((means - centre) ** 2).sum(1) - (weight * centre).sum(1)
    scale = _LOGIT_SPREAD / (features @ weight.T + bias).std(correction=0)
    head = nn.Linear(weight.shape[1], classes)
    head.weight.copy_(scale * weight)
    head.bias.copy_(scale * bias)
    return head
