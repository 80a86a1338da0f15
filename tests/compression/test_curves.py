"""Every curve: nested components that reproduce the layer, for any layer and however little was seen of it."""

import pytest
import torch
from torch import nn

from tests.choices import ranks
from toolkit.choice import rank
from toolkit.compression import (
    CURVES,
    CalibrationSet,
    Curve,
    Labelled,
    compress,
    compressible_layers,
    factors_at,
    gain_curve,
    matrix,
)
from toolkit.inputs import inputs_of
from toolkit.tasks import Examples


def _network() -> tuple[nn.Module, nn.Linear]:
    torch.manual_seed(0)
    backbone = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.Flatten(), nn.Linear(96, 24), nn.Tanh()
    )
    return backbone.eval(), nn.Linear(24, 4)


def _data(head: nn.Module, task: int = 40, general: int = 40) -> CalibrationSet:
    generator = torch.Generator().manual_seed(1)
    parts = [
        Labelled(Examples(torch.randn(count, 1, 6, 6, generator=generator), torch.arange(count) % 4), head)
        for count in (task, general)
    ]
    return CalibrationSet(*parts)


@pytest.mark.parametrize("name", CURVES)
def test_components_are_nested_and_their_gains_never_fall(name: str) -> None:
    backbone, head = _network()
    layers = compressible_layers(backbone, inputs_of(torch.randn(1, 1, 6, 6)))
    spectra = CURVES[name](backbone, layers, _data(head), 0)
    assert list(spectra) == list(layers)
    for layer, spectrum in spectra.items():
        most = len(spectrum.values)
        largest = factors_at(spectrum, most)
        torch.testing.assert_close(largest.u.T @ largest.u, torch.eye(most), atol=1e-5, rtol=0)
        torch.testing.assert_close(largest.v.T @ largest.v, torch.eye(most), atol=1e-5, rtol=0)
        smaller = factors_at(spectrum, most - 1)
        assert torch.equal(smaller.u, largest.u[:, :-1])
        assert torch.equal(smaller.v, largest.v[:, :-1])
        curve = gain_curve(layer, matrix(layers[layer]), spectrum, map(rank, range(1, most + 1)))
        gains = [*curve.by_choice.values(), curve.dense * (1 + 1e-5)]
        assert gains == sorted(gains)
        assert gains[0] > 0


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("seen", ["one example a class", "one example", "nothing but zeros", "dead units"])
@torch.no_grad()
def test_little_or_nothing_seen_of_a_layer_is_enough_to_factor_it(name: str, seen: str) -> None:
    backbone, head = _network()
    data = _data(head, *{"one example a class": (4, 4), "one example": (1, 1)}.get(seen, (8, 8)))
    if seen == "nothing but zeros":
        head.weight.zero_()
        for part in (data.task, data.general):
            assert part is not None
            part.examples.x.tensors["x"].zero_()
    if seen == "dead units":
        backbone[0].weight[::2] = 0
        backbone[0].bias[::2] = -1
    layers = compressible_layers(backbone, inputs_of(torch.randn(1, 1, 6, 6)))
    spectra = CURVES[name](backbone, layers, data, 0)
    compact = compress(backbone, spectra, ranks({layer: len(spectrum.values) for layer, spectrum in spectra.items()}))
    assert torch.isfinite(compact(torch.randn(5, 1, 6, 6))).all()
    assert all(spectrum.gain(1) >= 0 for spectrum in spectra.values())


@torch.no_grad()
def _output_error(curve: Curve, rank: int) -> float:
    """Of the first linear layer compact, on inputs that live in a few directions of many."""
    torch.manual_seed(0)
    backbone, head = nn.Sequential(nn.Linear(32, 32), nn.Tanh()), nn.Linear(32, 4)
    x = torch.randn(200, 6) @ torch.randn(6, 32) + 0.05 * torch.randn(200, 32)
    part = Labelled(Examples(x, torch.arange(200) % 4), head)
    layers = compressible_layers(backbone, inputs_of(x[:1]))
    compact = compress(backbone, curve(backbone, layers, CalibrationSet(part, part), 0), ranks({"0": rank}))
    return float((compact[0](x) - backbone[0](x)).square().mean())  # type: ignore[index]


def test_knowing_the_inputs_beats_the_weight_alone_and_that_beats_chance() -> None:
    errors = {name: _output_error(CURVES[name], 6) for name in ("activation", "magnitude", "random")}
    assert errors["activation"] < 0.2 * errors["magnitude"]
    assert errors["magnitude"] < errors["random"]


def test_chance_is_another_with_another_seed_and_the_same_with_the_same() -> None:
    backbone, head = _network()
    layers = compressible_layers(backbone, inputs_of(torch.randn(1, 1, 6, 6)))
    drawn = [CURVES["random"](backbone, layers, _data(head), seed)["4"].values for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
