"""Soft thresholds spend the budget, pass their gradient on, and harden into prefixes."""

import pytest
import torch
from torch import nn

from tests.choices import curve, ranks
from toolkit.compression import (
    calibrate,
    compact_layers,
    compress,
    compressible_layers,
    jactus_spectrum,
    matrix,
)
from toolkit.compression.policy import components, compress_nested, masked, soft_masks
from toolkit.inputs import inputs_of

CURVES = [
    curve(name, {4: first, 8: first + second, 12: first + 1.2 * second}, 5.0)
    for name, first, second in (("a", 2.0, 0.5), ("b", 1.0, 0.8), ("c", 0.1, 0.02))
]
LAYERS = [components(each, cost) for each, cost in zip(CURVES, (30.0, 50.0, 20.0), strict=True)]


def spent(masks: list[torch.Tensor]) -> float:
    return sum(float(layer.cost * mask.sum()) for layer, mask in zip(LAYERS, masks, strict=True))


@pytest.mark.parametrize("temperature", [1.0, 0.2, 0.02])
@pytest.mark.parametrize("budget", [60.0, 400.0, 1000.0])
def test_the_budget_is_spent_whatever_the_thresholds(temperature: float, budget: float) -> None:
    masks = soft_masks(LAYERS, torch.tensor([1.0, -2.0, 0.5]), budget, temperature)
    assert spent(masks) == pytest.approx(budget, rel=1e-3)


def test_steps_are_shared_by_their_components_and_pay_ever_less() -> None:
    found = components(curve("a", {2: 1.0, 4: 4.0, 5: 4.5}, 5.0), 10.0)
    # 0.5 each of the first two; the next two would pay 1.5 each, but no more than those below; then 0.5.
    assert found.log_worth.exp().tolist() == pytest.approx([0.05, 0.05, 0.05, 0.05, 0.05])


def test_the_gradient_is_that_of_the_whole_including_tau() -> None:
    """Against central differences, in float64; the sum of what is spent does not move at all."""
    layers = [type(each)(each.log_worth.double(), each.cost) for each in LAYERS]
    weights = [torch.linspace(1, 2, len(each.log_worth), dtype=torch.float64) for each in layers]

    def value(thresholds: torch.Tensor) -> torch.Tensor:
        masks = soft_masks(layers, thresholds, 500.0, 0.5)
        return sum(((weight * mask).sum() for weight, mask in zip(weights, masks, strict=True)), torch.tensor(0.0))

    start = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64, requires_grad=True)
    [gradient] = torch.autograd.grad(value(start), start)
    start = start.detach()
    for place in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[place] = 1e-4
        expected = float(value(start + step) - value(start - step)) / 2e-4
        assert float(gradient[place]) == pytest.approx(expected, rel=1e-3)
    start.requires_grad_(True)
    [whole] = torch.autograd.grad(
        sum((each.cost * mask.sum() for each, mask in zip(layers, soft_masks(layers, start, 500.0, 0.5), strict=True))),
        start,
    )
    assert whole.abs().max() < 1e-6 * 500


def test_a_hard_mask_is_the_compact_layer_of_that_rank() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(192, 20)).eval()
    x = torch.randn(32, 2, 6, 6)
    layers = compressible_layers(model, inputs_of(x[:1]))
    statistics = calibrate(model, layers, [(inputs_of(x), lambda features: features)])
    spectra = {name: jactus_spectrum(matrix(layer), statistics[name], 10) for name, layer in layers.items()}
    nested = compress_nested(model, spectra, ranks(dict.fromkeys(layers, 10)))
    for sizes in ({"0": 3, "3": 7}, {"0": 8, "3": 1}):
        masks = {name: (torch.arange(10) < rank).float() for name, rank in sizes.items()}
        with torch.no_grad(), masked(nested, masks):
            found = nested(x)
        expected = compress(model, spectra, ranks(dict(sizes)))(x)
        assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
    assert compact_layers(nested)["0"].core.weight.requires_grad
