"""What a layer holds in memory while it runs."""

import math

import torch
from torch import nn
from torch.nn import functional

from toolkit.choice import DENSE, Choice

_FLOAT_BYTES = 4


def activation_bytes(layer: nn.Linear | nn.Conv2d, input_shape: tuple[int, ...], choice: Choice) -> int:
    """Bytes of its input and output and, where it is compact, of the r channels between its factors."""
    output = _output_shape(layer, input_shape)
    channels = 1 if isinstance(layer, nn.Conv2d) else -1
    between = 0 if choice.size is None else math.prod(output) // output[channels] * choice.size
    return _FLOAT_BYTES * (math.prod(input_shape) + math.prod(output) + between)


def largest_activation_bytes(layers: dict[str, nn.Linear | nn.Conv2d], input_shapes: dict[str, tuple[int, ...]]) -> int:
    """What the dense layer that holds most holds."""
    return max((activation_bytes(layer, input_shapes[name], DENSE) for name, layer in layers.items()), default=0)


def _output_shape(layer: nn.Linear | nn.Conv2d, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    x, weight = torch.empty(input_shape, device="meta"), layer.weight.to("meta")
    if isinstance(layer, nn.Linear):
        return tuple(functional.linear(x, weight).shape)
    return tuple(functional.conv2d(x, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups).shape)
