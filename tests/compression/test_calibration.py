"""Covariances are those computed by hand from every input and gradient, and what is not finite names its layer."""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from toolkit.compression import LayerStatistics, calibrate, compressible_layers, matrix
from toolkit.compression.calibration import _ROWS
from toolkit.errors import BadInput
from toolkit.inputs import Inputs, inputs_of

_CLASSES = 4


def _rows_by_hand(layer: nn.Linear | nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """What each output of the layer reads, found by sending unit impulses through it: no unfolding, no padding rule."""
    if isinstance(layer, nn.Linear):
        return x.flatten(0, -2)
    _m, n = matrix(layer).shape
    probe = nn.Conv2d(
        layer.in_channels,
        n,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        bias=False,
        padding_mode=layer.padding_mode,
    )
    probe.weight.data = torch.eye(n).reshape(n, *layer.weight.shape[1:])
    return probe(x).movedim(1, -1).flatten(0, -2)


def _by_hand(
    model: nn.Module, layer: nn.Linear | nn.Conv2d, x: torch.Tensor, temperature: float, draws: int, seed: int
) -> LayerStatistics:
    """One example at a time, with the labels that one batch of all of them draws."""
    generator = torch.Generator().manual_seed(seed)
    probabilities = (model(x) / temperature).softmax(-1).detach()
    labels = [torch.multinomial(probabilities, 1, generator=generator)[:, 0] for _ in range(draws)]
    inputs, outer = [], torch.zeros(len(layer.weight), len(layer.weight), dtype=torch.float64)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    handle = layer.register_forward_hook(lambda _, given, out: seen.append((given[0].detach(), out)))
    for index in range(len(x)):
        seen.clear()
        logits = model(x[index : index + 1].clone().requires_grad_(True)) / temperature
        inputs += [_rows_by_hand(layer, given) for given, _ in seen]
        for drawn in labels:
            loss = F.cross_entropy(logits, drawn[index : index + 1]) * temperature
            for (gradient,) in [torch.autograd.grad(loss, out, retain_graph=True) for _, out in seen]:
                by_row = gradient.movedim(1, -1) if isinstance(layer, nn.Conv2d) else gradient
                rows = by_row.reshape(-1, by_row.shape[-1]).double()
                outer += rows.T @ rows
    handle.remove()
    rows = torch.cat(inputs).detach().double()
    return LayerStatistics(rows.T @ rows / len(rows), outer / (len(x) * draws))


class _Twice(nn.Module):
    """Calls one layer at two depths."""

    def __init__(self, layer: nn.Module, size: int) -> None:
        super().__init__()
        self.layer = layer
        self.last = nn.Linear(size, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.layer(torch.tanh(self.layer(x)))).flatten(1))


class _Tied(nn.Module):
    """Two layers with one weight and their own biases."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, _CLASSES)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))


class _TokensFirst(nn.Module):
    """(N, T, d) worked on as (T, N, d), as nn.TransformerEncoder does by default."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)
        self.last = nn.Linear(5, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.layer(x.transpose(0, 1))).mean(0))


def _conv(shape: tuple[int, ...] = (2, 7, 6), **how: Any) -> tuple[nn.Module, str, torch.Tensor]:
    x = torch.randn(5, *shape)
    conv = nn.Conv2d(shape[0], 3, **how)
    model = nn.Sequential(conv, nn.Tanh(), nn.Flatten(), nn.Linear(conv(x)[0].numel(), _CLASSES))
    return model, "0", x


_CASES: dict[str, Callable[[], tuple[nn.Module, str, torch.Tensor]]] = {
    "linear": lambda: (nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, _CLASSES)), "0", torch.randn(5, 6)),
    "linear over tokens": lambda: (
        nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Flatten(), nn.Linear(20, _CLASSES)),
        "0",
        torch.randn(5, 4, 3),
    ),
    "tokens before examples": lambda: (_TokensFirst(), "layer", torch.randn(5, 4, 3)),
    "linear called twice": lambda: (_Twice(nn.Linear(4, 4), 4), "layer", torch.randn(5, 4)),
    "conv called twice": lambda: (_Twice(nn.Conv2d(2, 2, 3, padding=1), 32), "layer", torch.randn(5, 2, 4, 4)),
    "conv": lambda: _conv(kernel_size=3, padding=1),
    "conv strided": lambda: _conv(kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)),
    "conv dilated": lambda: _conv(kernel_size=3, dilation=2, padding=1),
    "conv same": lambda: _conv(kernel_size=3, padding="same"),
    "conv same, even kernel": lambda: _conv(kernel_size=(4, 2), padding="same"),
    "conv valid": lambda: _conv(kernel_size=3, padding="valid"),
    "conv reflect": lambda: _conv(kernel_size=3, padding=(1, 2), padding_mode="reflect"),
    "conv circular": lambda: _conv(kernel_size=3, padding="same", padding_mode="circular"),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("case", _CASES)
def test_covariances_equal_those_computed_by_hand(case: str) -> None:
    torch.manual_seed(0)
    model, name, x = _CASES[case]()
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    found = calibrate(model, {name: layer}, [(inputs_of(x), nn.Identity())], temperature=2.0, draws=3, seed=1)[name]
    expected = _by_hand(model, layer, x, 2.0, 3, 1)
    torch.testing.assert_close(found.sigma_x, expected.sigma_x, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.sigma_g, expected.sigma_g, atol=1e-6, rtol=1e-5)


def test_an_activation_in_place_changes_no_covariance() -> None:
    torch.manual_seed(0)
    first, last, x = nn.Linear(6, 5), nn.Linear(5, _CLASSES), torch.randn(5, 6)
    apart, in_place = (
        calibrate(nn.Sequential(first, nn.ReLU(inplace=how), last), {"0": first}, [(inputs_of(x), nn.Identity())])["0"]
        for how in (False, True)
    )
    assert torch.equal(apart.sigma_g, in_place.sigma_g)


def test_batches_add_up_and_leave_nothing_behind() -> None:
    torch.manual_seed(0)
    model, name, x = _CASES["conv"]()
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    before = x.clone()

    def parts() -> Iterator[tuple[Inputs, Callable[[torch.Tensor], torch.Tensor]]]:
        for part in x.split(2):  # the last one is smaller
            yield inputs_of(part), nn.Identity()

    found = calibrate(model, {name: layer}, parts())[name]
    whole = calibrate(model, {name: layer}, [(inputs_of(x), nn.Identity())])[name]
    torch.testing.assert_close(found.sigma_x, whole.sigma_x, atol=1e-6, rtol=1e-6)  # a batch is summed in float32
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not layer._forward_hooks


def test_memory_does_not_grow_with_batches() -> None:
    torch.manual_seed(0)
    model, name, _ = _CASES["linear"]()
    x = torch.randn(_ROWS // 2, 6)  # of every other batch, rows wait for those of the next
    alive: list[int] = []
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv2d)

    def watch() -> Iterator[tuple[Inputs, Callable[[torch.Tensor], torch.Tensor]]]:
        for _ in range(6):
            gc.collect()
            alive.append(sum(each.numel() for each in gc.get_objects() if type(each) is torch.Tensor))
            yield inputs_of(x.clone()), nn.Identity()

    calibrate(model, {name: layer}, watch())
    assert alive[5] == alive[3]
    assert alive[4] == alive[2]


def test_dropout_and_batch_norm_of_a_model_in_eval_do_not_matter() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.9), nn.Linear(4, _CLASSES)).eval()
    layers = compressible_layers(model, inputs_of(torch.randn(1, 4)))
    x = torch.randn(8, 4)
    first, second = (calibrate(model, layers, [(inputs_of(x), nn.Identity())])["3"] for _ in range(2))
    assert torch.equal(first.sigma_x, second.sigma_x)
    assert torch.equal(model[1].running_mean, torch.zeros(4))


def test_a_weight_that_two_layers_hold_sees_what_both_see() -> None:
    torch.manual_seed(0)
    model, x = _Tied(), torch.randn(5, 4)
    tied = calibrate(model, {"first": model.first}, [(inputs_of(x), nn.Identity())])["first"]
    with torch.no_grad():
        model.second.weight = nn.Parameter(model.first.weight.clone())
    layers: dict[str, nn.Linear | nn.Conv2d] = {"first": model.first, "second": model.second}
    apart = calibrate(model, layers, [(inputs_of(x), nn.Identity())])
    # Each is called once an example: inputs average over both, gradients add up.
    mean = (apart["first"].sigma_x + apart["second"].sigma_x) / 2
    torch.testing.assert_close(tied.sigma_x, mean, atol=1e-6, rtol=1e-5)
    total = apart["first"].sigma_g + apart["second"].sigma_g
    torch.testing.assert_close(tied.sigma_g, total, atol=1e-6, rtol=1e-5)


class _SteepRoot(nn.Module):
    """Finite at zero, where its gradient is not."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(x - x.detach())


class _Overflow(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * 1e30) * 1e30


@pytest.mark.parametrize(
    ("between", "where", "what"), [(_SteepRoot(), "layer 1", "gradients"), (_Overflow(), "layer 3", "inputs")]
)
def test_what_is_not_finite_names_the_layer_beside_it(between: nn.Module, where: str, what: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), between, nn.Linear(4, _CLASSES), nn.Linear(_CLASSES, 3))
    layers: dict[str, nn.Linear | nn.Conv2d] = {name: model[int(name)] for name in "0134"}  # type: ignore[misc]
    with pytest.raises(BadInput, match=f"its {what} on the calibration examples hold NaN or infinity") as refusal:
        calibrate(model, layers, [(inputs_of(torch.randn(5, 4)), nn.Identity())])
    assert refusal.value.where == where
