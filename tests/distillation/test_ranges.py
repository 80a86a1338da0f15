"""Ranges of activations: extremes, or what is left of them without the wildest."""

import pytest
import torch
from torch import nn

from toolkit.distillation import read_ranges
from toolkit.inputs import inputs_of
from toolkit.runtimes.arithmetic import Arithmetic, Quantisation, Ranges


def _read(model: nn.Module, x: torch.Tensor, ranges: Ranges = "minmax") -> dict[str, list[float]]:
    quantisation = Quantisation(Arithmetic("int8", "signed"), inputs_of(x), ranges)
    return {name: each.tolist() for name, each in read_ranges(model, quantisation).items()}


def test_minmax_is_the_extremes_of_what_each_layer_sees() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    model[0].weight.data.fill_(2.0)
    model[0].bias.data.zero_()
    x = torch.linspace(-3, 1, 100)[:, None]
    assert _read(model, x) == {"0": [-3.0, 1.0], "2": [0.0, 2.0]}


@pytest.mark.parametrize("ranges", ["percentile", "entropy"])
def test_wild_values_of_a_few_examples_count_for_nothing(ranges: Ranges) -> None:
    generator = torch.Generator().manual_seed(0)
    model, x = nn.Sequential(nn.Linear(512, 2)), torch.randn(256, 512, generator=generator)
    (calm,) = _read(model, x, ranges).values()
    x[7, 3], x[9] = 1e6, -1e6
    (wild,) = _read(model, x, ranges).values()
    assert wild == pytest.approx(calm, rel=0.1)
    assert _read(model, x)["0"] == [-1e6, 1e6]


def test_normalisation_computes_with_its_running_statistics_and_keeps_them() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4)).train()
    before = model[0].running_mean.clone()
    found = _read(model, torch.full((8, 4), 5.0))
    assert found["1"] == pytest.approx([5.0, 5.0], rel=1e-4)
    assert torch.equal(model[0].running_mean, before)
    assert all(module.training for module in model.modules())


def test_a_layer_that_sees_nothing_has_no_range() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    assert _read(Unused(), torch.ones(1, 2)) == {"used": [1.0, 1.0]}
