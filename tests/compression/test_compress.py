"""An allocation put into a model: a copy, compact where asked, the same function at full rank and after folding."""

import pytest
import torch
from torch import nn

from tests.choices import ranks
from toolkit.compression import (
    CompactConv2d,
    CompactLinear,
    Spectrum,
    calibrate,
    compact_layers,
    compress,
    compressible_layers,
    fold_all,
    jactus_spectrum,
    matrix,
)
from toolkit.inputs import inputs_of


@pytest.fixture
def dense() -> tuple[nn.Module, dict[str, Spectrum], torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(96, 8),
    ).eval()
    x = torch.randn(4, 2, 4, 4)
    layers = compressible_layers(model, inputs_of(x[:1]))
    statistics = calibrate(model, layers, [(inputs_of(x), nn.Identity())])
    spectra = {
        name: jactus_spectrum(matrix(layer), statistics[name], min(matrix(layer).shape))
        for name, layer in layers.items()
    }
    return model, spectra, x


@torch.no_grad()
def test_full_rank_computes_what_the_dense_model_computes(
    dense: tuple[nn.Module, dict[str, Spectrum], torch.Tensor],
) -> None:
    model, spectra, x = dense
    compact = compress(model, spectra, ranks({"0": 6, "5": 8}))
    assert {name: type(layer) for name, layer in compact_layers(compact).items()} == {
        "0": CompactConv2d,
        "5": CompactLinear,
    }
    torch.testing.assert_close(compact(x), model(x), atol=1e-4, rtol=1e-4)


def test_the_dense_model_is_left_alone_and_only_cores_train(
    dense: tuple[nn.Module, dict[str, Spectrum], torch.Tensor],
) -> None:
    model, spectra, _ = dense
    compact = compress(model, spectra, ranks({"0": None, "5": 3}))
    assert isinstance(model[5], nn.Linear)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert isinstance(compact[0], nn.Conv2d)
    assert [name for name, parameter in compact.named_parameters() if parameter.requires_grad] == ["5.core.weight"]
    assert not any(module.training for module in compact.modules())


@torch.no_grad()
def test_folding_a_model_keeps_its_function_and_needs_no_compact_layer(
    dense: tuple[nn.Module, dict[str, Spectrum], torch.Tensor],
) -> None:
    model, spectra, x = dense
    compact = compress(model, spectra, ranks({"0": 2, "5": 3}))
    folded = fold_all(compact.train())
    assert not compact_layers(folded)
    assert list(compact_layers(compact)) == ["0", "5"]
    torch.testing.assert_close(folded(x), compact.eval()(x))
