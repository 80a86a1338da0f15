"""What a layer holds while it runs, counted on the tensors themselves."""

import pytest
import torch
from torch import nn

from toolkit.choice import DENSE, rank
from toolkit.compression import CompactConv2d, CompactLinear
from toolkit.profiling.activations import activation_bytes, largest_activation_bytes

CONV = nn.Conv2d(3, 8, 3, stride=2, padding="valid", dilation=2)


@pytest.mark.parametrize(("layer", "shape"), [(nn.Linear(12, 5), (1, 7, 12)), (CONV, (1, 3, 16, 16))])
def test_input_output_and_what_lies_between(layer: nn.Linear | nn.Conv2d, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    compact = CompactLinear(12, 5, 4) if isinstance(layer, nn.Linear) else CompactConv2d(layer, 4)
    between = compact.fold().down(x)
    assert activation_bytes(layer, shape, DENSE) == 4 * (x.numel() + layer(x).numel())
    assert activation_bytes(layer, shape, rank(4)) == 4 * (x.numel() + between.numel() + layer(x).numel())


def test_the_largest_of_a_model() -> None:
    layers: dict[str, nn.Linear | nn.Conv2d] = {"a": nn.Linear(12, 5), "b": nn.Linear(5, 100)}
    assert largest_activation_bytes(layers, {"a": (1, 12), "b": (1, 5)}) == 4 * 105
