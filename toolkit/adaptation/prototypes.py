"""The gradient-free head: one prototype a class, as a linear layer (Snell et al. 2017, section 2.4)."""

import torch
from torch import nn
from torch.export import ExportedProgram

from toolkit.objectives.places import members

# Standard deviation of the logits over the support: sharp enough to learn from, soft enough to keep a gradient.
_LOGIT_SPREAD = 2.0


def prototype_head(
    features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (classes, d) and bias (classes,) whose argmax is the nearest class mean of `features` (N, d).

    Examples count by their `weights` (N,); every class has one that does. A board runs this very function.
    """
    counted = members(labels, classes) * weights[:, None]
    means = (counted.T @ features) / counted.sum(0)[:, None]
    centre = means.mean(0)  # distances do not change when both sides move; numbers stay small
    weight = 2 * (means - centre)
    bias = -((means - centre) ** 2).sum(1) - (weight * centre).sum(1)
    logits = features @ weight.T + bias
    share = (weights / (weights.sum() * classes))[:, None]
    spread = torch.sqrt((share * (logits - (share * logits).sum()) ** 2).sum())
    scale = torch.where(spread > 0, _LOGIT_SPREAD / spread, torch.ones(()))
    return scale * weight, scale * bias


def trace_prototypes(width: int, classes: int, examples: int) -> ExportedProgram:
    """(features (examples, width), labels, weights) -> (weight, bias), as a board's program."""

    class Start(nn.Module):
        def forward(
            self, features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            return prototype_head(features, labels, weights, classes)

    arguments = (torch.randn(examples, width), torch.arange(examples) % classes, torch.ones(examples))
    with torch.no_grad():
        return torch.export.export(Start(), arguments)
