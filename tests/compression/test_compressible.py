"""Layers are those whose replacement replaces their computation; those that share a weight are one."""

import pytest
import torch
from torch import nn

from tests.choices import ranks
from toolkit.compression import (
    calibrate,
    compact_layers,
    compress,
    compressible_layers,
    fixed_layers,
    fold_all,
    jactus_spectrum,
    matrix,
)
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.free = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.free(self.second(torch.tanh(self.first(x))))


class _TiedConvolutions(nn.Module):
    """One kernel, once with stride 1 and once with stride 2 and a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.Conv2d(3, 3, 3, 2, 1)
        self.coarse.weight = self.fine.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.coarse(torch.tanh(self.fine(x))).flatten(1)


class _TwoNames(nn.Module):
    """One layer in a list twice, as models with shared blocks hold theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Tanh())] * 2)
        self.again = self.blocks[0][0]  # type: ignore[index]
        self.free = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.free(self.again(self.blocks[1](self.blocks[0](x))))


class _ReadDirectly(nn.Module):
    """An embedding whose table is also a layer's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.tied, self.free = nn.Embedding(6, 4), nn.Linear(4, 6), nn.Linear(4, 4)
        self.tied.weight = self.table.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tied(torch.tanh(self.free(self.table(x.long()).mean(1))))


class _ConstantInput(nn.Module):
    """A layer of the positions, which no example reaches."""

    positions: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("positions", torch.ones(4))
        self.of_positions, self.of_inputs = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.of_inputs(x + self.of_positions(self.positions))


class _Standardised(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


class _NoEffect(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.never = nn.Linear(4, 3), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.unused(x)
        return self.used(x)


def _encoder(batch_first: bool) -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
    return nn.Sequential(
        nn.Linear(4, 8), nn.TransformerEncoder(layer, 1, enable_nested_tensor=batch_first), nn.Linear(8, 3)
    ).eval()


_ENCODER_LAYERS = ["0", "1.layers.0.linear1", "1.layers.0.linear2", "2"]


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 1)), (4, 6, 6), ["1"]),
        (_Tied(), (4,), ["first", "free"]),
        (_TiedConvolutions(), (3, 6, 6), ["fine"]),
        (_TwoNames(), (4,), ["blocks.0.0", "free"]),
        (_ReadDirectly(), (5,), ["free"]),
        (_ConstantInput(), (4,), ["of_inputs"]),
        (nn.Sequential(_Standardised(3, 4, 3), nn.Conv2d(4, 4, 3)), (3, 8, 8), ["1"]),
        (_NoEffect(), (4,), ["used"]),
        (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 2)), (4,), ["0", "1"]),
        (_encoder(batch_first=True), (5, 4), _ENCODER_LAYERS),
        (_encoder(batch_first=False), (5, 4), _ENCODER_LAYERS),
    ],
    ids=[
        "depthwise",
        "tied",
        "tied, other strides",
        "two names",
        "read directly",
        "constant input",
        "standardised",
        "no effect",
        "weight norm",
        "encoder",
        "encoder, tokens first",
    ],
)
def test_layers_whose_replacement_replaces_the_computation(
    model: nn.Module, shape: tuple[int, ...], expected: list[str]
) -> None:
    torch.manual_seed(0)
    x = torch.rand(4, *shape)
    layers = compressible_layers(model, inputs_of(x[:1]))
    assert list(layers) == expected
    statistics = calibrate(model, layers, [(inputs_of(x), lambda out: out.flatten(1))])
    full = {name: min(matrix(layer).shape) for name, layer in layers.items()}
    spectra = {name: jactus_spectrum(matrix(layer), statistics[name], full[name]) for name, layer in layers.items()}
    compact = compress(model, spectra, ranks(full))
    assert sorted(compact_layers(compact)) == sorted(expected)
    with torch.no_grad():
        torch.testing.assert_close(compact(x), model(x), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(fold_all(compact)(x), model(x), atol=1e-4, rtol=1e-4)


def test_a_model_may_have_nothing_to_compress() -> None:
    assert compressible_layers(nn.Sequential(nn.Flatten(), nn.Tanh()), inputs_of(torch.zeros(1, 4))) == {}


class _ThroughNumpy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.layer(x).detach().numpy())


def test_a_model_that_no_gradient_passes_is_refused() -> None:
    with pytest.raises(BadInput, match="no gradient"):
        compressible_layers(_ThroughNumpy(), inputs_of(torch.zeros(1, 4)))


@pytest.mark.parametrize("how", ["hook", "forward"])
def test_what_somebody_hung_on_a_layer_would_go_with_it(how: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1, groups=2), nn.Linear(4, 3))
    model.insert(1, nn.Unflatten(1, (1, 2, 2)))
    model.insert(4, nn.Flatten())
    model[5] = nn.Linear(16, 3)
    for layer in (model[0], model[3]):
        if how == "hook":
            layer.register_forward_hook(lambda _, __, output: -output)
        else:
            layer.forward = lambda x, own=layer.forward: -own(x)  # type: ignore[method-assign,misc]
    assert list(compressible_layers(model, inputs_of(torch.zeros(1, 4)))) == ["2", "5"]
    assert fixed_layers(model, inputs_of(torch.zeros(1, 4))) == {}


@pytest.mark.parametrize(
    "model", [_Tied(), _TiedConvolutions(), _TwoNames()], ids=["tied", "convolutions", "two names"]
)
@torch.no_grad()
def test_layers_that_share_a_weight_share_their_factors(model: nn.Module) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 6, 6) if isinstance(model, _TiedConvolutions) else torch.randn(4, 4)
    layers = compressible_layers(model, inputs_of(x[:1]))
    statistics = calibrate(model, layers, [(inputs_of(x), lambda out: out.flatten(1))])
    spectra = {name: jactus_spectrum(matrix(layer), statistics[name], 3) for name, layer in layers.items()}
    compact = compress(model, spectra, ranks(dict.fromkeys(layers, 2)))
    cores = [name for name, parameter in compact.named_parameters() if parameter.requires_grad]
    assert cores == [f"{name}.core.weight" for name in compact_layers(compact)]
    before, folded = compact(x), fold_all(compact)
    next(iter(compact_layers(compact).values())).core.weight *= 2
    after = compact(x)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(fold_all(compact)(x), after)
    # What is put into the first hole reaches every layer that shares it.
    first = next(iter(compact_layers(compact)))
    folded.get_submodule(first).down.weight *= 2
    torch.testing.assert_close(folded(x), after)
