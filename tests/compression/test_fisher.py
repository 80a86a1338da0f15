"""The Fisher information is the mean squared gradient of single examples, as autograd computes it for each weight."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from toolkit.compression import Labelled, compressible_layers
from toolkit.compression.fisher import diagonal_fisher
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.tasks import Examples


class _Shared(nn.Module):
    """A layer that two names call, with another's weight in between."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.first(torch.tanh(self.second(torch.tanh(self.first(x)))))).mean(1))


_MODELS = {
    "tokens, called twice, tied": (lambda: _Shared(), (5, 4)),
    "convolution": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(45, 3)
        ),
        (2, 5, 4),
    ),
}


@pytest.mark.parametrize("case", _MODELS)
def test_it_is_the_mean_squared_gradient_of_single_examples(case: str) -> None:
    torch.manual_seed(0)
    make, shape = _MODELS[case]
    model, x, y = make(), torch.randn(4, *shape), torch.tensor([0, 1, 2, 1])
    layers = compressible_layers(model, inputs_of(x[:1]))
    found = diagonal_fisher(model, layers, Labelled(Examples(x, y), nn.Identity()))
    for name, layer in layers.items():
        squares = torch.zeros_like(layer.weight)
        for index in range(len(x)):
            loss = F.cross_entropy(model(x[index : index + 1]), y[index : index + 1])
            squares += torch.autograd.grad(loss, layer.weight)[0] ** 2
        torch.testing.assert_close(found[name].float(), squares.flatten(1) / len(x), atol=1e-8, rtol=1e-4)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_a_gradient_that_is_not_finite_names_a_layer() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    examples = Examples(torch.full((2, 2), 1e30), torch.tensor([0, 1]))
    layers = compressible_layers(model, inputs_of(torch.ones(1, 2)))
    with pytest.raises(BadInput, match="its gradients on the calibration examples hold NaN or infinity") as refusal:
        diagonal_fisher(model, layers, Labelled(examples, lambda out: out * 1e10))
    assert refusal.value.where in ("layer 0", "layer 1")
