"""A network with noise on its parameters, for checks of what it computes: a scale of zero would let anything pass."""

import copy

import torch
from torch import nn

_NOISE = 0.1


@torch.no_grad()
def shaken(model: nn.Module) -> nn.Module:
    """A copy of `model` whose parameters have moved by a tenth of their spread, and by a hundredth at least."""
    copied = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    for parameter in copied.parameters():
        scale = max(float(parameter.std(correction=0)), _NOISE)
        parameter.add_(_NOISE * scale * torch.randn(parameter.shape, generator=generator))
    return copied
