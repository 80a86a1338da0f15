"""Trained factors made orthonormal again compute what they computed, in the same order."""

import copy

import pytest
import torch
from torch import nn

from tests.choices import ranks
from toolkit.compression import CURVES, CalibrationSet, Labelled, compact_layers, compress, make_bases_orthonormal
from toolkit.compression.compressible import compressible_layers
from toolkit.compression.layers import Compact
from toolkit.inputs import inputs_of
from toolkit.tasks import Examples


@pytest.fixture
def trained() -> nn.Module:
    """Linear and convolutional layers whose factors are anything."""
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Conv2d(2, 12, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(192, 24)).eval()
    x = torch.randn(32, 2, 4, 4)
    data = CalibrationSet(Labelled(Examples(x, torch.zeros(32, dtype=torch.int64)), nn.Identity()))
    spectra = CURVES["jactus"](dense, compressible_layers(dense, inputs_of(x[:1])), data, 0)
    student = compress(dense, spectra, ranks({"0": 4, "3": 8}))
    for parameter in student.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return student


def _bases(layer: Compact) -> tuple[torch.Tensor, torch.Tensor]:
    return layer.up.weight.detach().flatten(1), layer.down.weight.detach().flatten(1).T


def test_the_model_computes_the_same(trained: nn.Module) -> None:
    x = torch.randn(5, 2, 4, 4)
    before = trained(x)
    make_bases_orthonormal(trained)
    torch.testing.assert_close(trained(x), before, atol=1e-5, rtol=1e-5)


def test_bases_are_orthonormal_and_span_what_they_spanned_column_by_column(trained: nn.Module) -> None:
    before = copy.deepcopy(trained)
    make_bases_orthonormal(trained)
    for name, layer in compact_layers(trained).items():
        for base, was in zip(_bases(layer), _bases(compact_layers(before)[name]), strict=True):
            torch.testing.assert_close(base.T @ base, torch.eye(layer.rank), atol=1e-5, rtol=0)
            for k in range(1, layer.rank + 1):
                left_out = was[:, :k] - base[:, :k] @ (base[:, :k].T @ was[:, :k])
                assert float(left_out.abs().max()) < 1e-5


def test_twice_is_once(trained: nn.Module) -> None:
    make_bases_orthonormal(trained)
    once = copy.deepcopy(trained.state_dict())
    make_bases_orthonormal(trained)
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(value, once[name], atol=1e-5, rtol=1e-4)
