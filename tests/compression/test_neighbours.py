"""Which layer reads what which other computed."""

import torch
from torch import nn

from toolkit.compression import neighbours
from toolkit.inputs import inputs_of


class Block(nn.Module):
    """x + second(relu(first(x))), then a third that reads the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.first = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.third = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = x + self.second(torch.relu(self.norm(self.first(x))))
        return self.third(x.mean((2, 3)))


LAYERS = ("stem", "first", "second", "third")


def test_sums_and_activations_lie_between_neighbours() -> None:
    found = neighbours(Block().eval(), inputs_of(torch.randn(1, 3, 6, 6)), LAYERS)
    assert found == (("stem", "first"), ("first", "second"), ("second", "third"))


def test_what_is_no_layer_is_looked_through() -> None:
    found = neighbours(Block().eval(), inputs_of(torch.randn(1, 3, 6, 6)), ("stem", "third"))
    assert found == (("stem", "third"),)


def test_a_layer_that_runs_twice_is_not_its_own_neighbour() -> None:
    layer = nn.Linear(4, 4)
    assert neighbours(nn.Sequential(layer, nn.ReLU(), layer), inputs_of(torch.randn(1, 4)), ("0",)) == ()
