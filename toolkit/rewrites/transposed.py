"""Hugging Face's `Conv1D` (GPT-2 and its kin): a linear layer that keeps its weight transposed."""

import torch
from torch import nn


def is_transposed(layer: nn.Module) -> bool:
    """By its name: transformers need not be installed."""
    return type(layer).__name__ == "Conv1D" and type(layer).__module__ == "transformers.pytorch_utils"


@torch.no_grad()
def as_linear(layer: nn.Module) -> nn.Linear:
    """`y = x W + b` with W (n, m) as `nn.Linear`, whose weight is (m, n)."""
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, torch.Tensor)
    assert isinstance(bias, torch.Tensor)
    linear = nn.Linear(*weight.shape)
    linear.weight.copy_(weight.T)
    linear.bias.copy_(bias)
    return linear
