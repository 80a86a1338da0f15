"""Layers are called by position, and whoever hung something on one is seen."""

import copy

import pytest
import torch
from torch import nn

from toolkit.compression import calibrate, compressible_layers
from toolkit.inputs import inputs_of
from toolkit.surroundings import call_by_position, is_touched


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(input=torch.relu(self.first(x)))


def test_what_watches_layers_sees_those_that_are_called_by_name() -> None:
    torch.manual_seed(0)
    model, x = ByName(), torch.randn(4, 6)
    expected = model(x)
    call_by_position(model, inputs_of(x))
    model = copy.deepcopy(model)  # as every stage does
    torch.testing.assert_close(model(x), expected)
    assert not model.first._forward_pre_hooks
    statistics = calibrate(model, compressible_layers(model, inputs_of(x[:1])), [(inputs_of(x), lambda out: out)])
    hidden = torch.relu(model.first(x)).double()
    torch.testing.assert_close(statistics["second"].sigma_x, hidden.T @ hidden / 4, atol=1e-6, rtol=1e-6)
    assert not is_touched(model.second)


@pytest.mark.parametrize("how", ["after", "before", "forward"])
def test_who_hung_something_on_a_layer_is_seen(how: str) -> None:
    layer = nn.Linear(4, 4)
    assert not is_touched(layer)
    if how == "after":
        layer.register_forward_hook(lambda *_: None)
    elif how == "before":
        layer.register_forward_pre_hook(lambda *_: None)
    else:
        layer.forward = lambda x: x  # type: ignore[method-assign,assignment]
    assert is_touched(layer)
