"""A layer becomes compact only where the network around it takes the compact one for the dense one."""

import pytest
import torch
from torch import nn

from toolkit.compression import compressible_layers, replaceable
from toolkit.inputs import inputs_of


class Asks(nn.Module):
    """Asks something of its layer, as Hugging Face's models ask theirs for dtype and stride."""

    def __init__(self, ask: str) -> None:
        super().__init__()
        self.first, self.asked, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.ask = ask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.asked(torch.relu(self.first(x))))
        if self.ask == "dtype":
            x = x.to(self.asked.weight.dtype)
        elif self.ask == "weight":
            x = x @ self.asked.weight + self.asked.bias
        elif self.ask == "size":
            x = x * self.asked.in_features
        elif self.ask == "class":
            x = x if type(self.asked) is nn.Linear else -x
        elif self.ask == "parameters":
            x = x * len(list(self.asked.parameters()))
        return self.last(x)


@pytest.mark.parametrize("ask", ["dtype", "weight", "size"])
def test_a_compact_layer_answers_what_the_dense_one_would(ask: str) -> None:
    torch.manual_seed(0)
    model, x = Asks(ask).eval(), torch.randn(4, 6)
    layers = compressible_layers(model, inputs_of(x[:1]))
    assert list(replaceable(model, layers, inputs_of(x))) == ["first", "asked", "last"]


@pytest.mark.parametrize("ask", ["class", "parameters"])
def test_what_it_cannot_answer_leaves_that_layer_dense_and_no_other(ask: str) -> None:
    torch.manual_seed(0)
    model, x = Asks(ask).eval(), torch.randn(4, 6)
    layers = compressible_layers(model, inputs_of(x[:1]))
    assert list(replaceable(model, layers, inputs_of(x))) == ["first", "last"]


def test_convolutions_of_either_shape_are_tried_whole() -> None:
    torch.manual_seed(0)
    narrowing, widening = nn.Conv2d(3, 2, 3, padding=1), nn.Conv2d(2, 40, 3)
    model = nn.Sequential(narrowing, nn.ReLU(), widening, nn.Flatten(), nn.Linear(160, 3)).eval()
    x = torch.randn(4, 3, 4, 4)
    layers = compressible_layers(model, inputs_of(x[:1]))
    assert list(replaceable(model, layers, inputs_of(x))) == ["0", "2", "4"]
