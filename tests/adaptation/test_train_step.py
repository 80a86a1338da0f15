"""The exported train step is torch's Adam, on every kind of network, in the runtime that the board has."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import NETWORKS, build, compacted, loaded, zeros
from torch import nn
from torch.func import functional_call

from toolkit.adaptation import trace_train_step
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.runtimes import onnxruntime
from toolkit.runtimes.bundle import trainable_names

_LR, _EPS = np.float32(3e-3), np.float32(1e-8)


def _trainable(name: str) -> tuple[nn.Module, tuple[str, ...], torch.Tensor]:
    model, x = build(name)
    network = split_head(model, inputs_of(x[:1]))
    assert network.head is not None
    whole = nn.Sequential()
    whole.add_module("backbone", compacted(network.backbone, network.head, x))
    whole.add_module("head", network.head)
    return whole, trainable_names(whole.get_submodule("backbone")), x


def _adam(
    model: nn.Module, names: tuple[str, ...], x: torch.Tensor, y: torch.Tensor, steps: int
) -> tuple[list[float], list[torch.Tensor]]:
    """Losses and trained values of torch.optim.Adam with the same learning rate."""
    parameters = dict(model.named_parameters())
    values = [parameters[name].detach().clone().requires_grad_(True) for name in names]
    optimizer, losses = torch.optim.Adam(values, lr=float(_LR), eps=float(_EPS)), []
    for _ in range(steps):
        loss = F.cross_entropy(functional_call(model, dict(zip(names, values, strict=True)), (x,)), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses, values


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", NETWORKS)
def test_twenty_steps_on_the_board_equal_adam(name: str, tmp_path: Path) -> None:
    # 1e-5: float32 sums in another order; 20 steps agreed to 6e-7 when the recipe was found.
    model, names, x = _trainable(name)
    y = torch.arange(6) % 3
    losses, expected = _adam(model, names, x, y, 20)
    step = loaded(onnxruntime, onnxruntime.export(trace_train_step(model.train(), names, x, 3), ()), tmp_path)
    parameters = dict(model.named_parameters())
    values = [parameters[each].detach().numpy() for each in names]
    state, labels = zeros(values), np.eye(3, dtype=np.float32)[y.numpy()]
    for loss in losses:
        out = step([x.numpy(), labels, _LR, _EPS, *values, *state])
        values, state = out[2 : 2 + len(names)], out[2 + len(names) :]
        assert float(out[0]) == pytest.approx(loss, abs=1e-5)
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, wanted.detach().numpy(), atol=1e-5)


def test_rows_of_zero_labels_drop_out() -> None:
    model, names, x = _trainable("mlp")
    y = torch.arange(6) % 3
    _, expected = _adam(model, names, x[:4], y[:4], 1)
    step = trace_train_step(model, names, x, 3).module()
    parameters = dict(model.named_parameters())
    values = [parameters[each].detach() for each in names]
    labels = F.one_hot(y, 3).float()
    labels[4:] = 0
    state = [torch.from_numpy(each) for each in zeros([value.numpy() for value in values])]
    loss, logits, *rest = step(x, labels, torch.tensor(3e-3), torch.tensor(1e-8), *values, *state)
    assert logits.shape == (6, 3)
    assert float(loss) == pytest.approx(F.cross_entropy(model(x[:4]), y[:4]).item(), abs=1e-6)
    for value, wanted in zip(rest, expected, strict=False):
        torch.testing.assert_close(value, wanted.detach(), atol=1e-6, rtol=0)


def test_a_step_of_length_zero_moves_nothing() -> None:
    model, names, x = _trainable("mlp")
    step = trace_train_step(model, names, x, 3).module()
    parameters = dict(model.named_parameters())
    values = [parameters[each].detach() for each in names]
    state = [torch.from_numpy(each) for each in zeros([value.numpy() for value in values])]
    out = step(x, torch.eye(3).repeat(2, 1), torch.tensor(0.0), torch.tensor(1e-8), *values, *state)
    for before, after in zip(values, out[2:], strict=False):
        assert torch.equal(before, after)


# What stands between two trained layers: gradients must pass it, in operators that runtimes know.
_BETWEEN: dict[str, Callable[[], nn.Module]] = {
    "avg pool": lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    "avg pool, padding not counted": lambda: nn.AvgPool2d((3, 2), 2, 1, count_include_pad=False),
    "avg pool, own divisor": lambda: nn.AvgPool2d(2, divisor_override=3),
    "adaptive avg pool": lambda: nn.AdaptiveAvgPool2d((4, 3)),
    "adaptive max pool": lambda: nn.AdaptiveMaxPool2d((2, 3)),
    "max pool": lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "nearest": lambda: nn.Upsample(scale_factor=2),
    "bilinear": lambda: nn.Upsample(size=(11, 13), mode="bilinear"),
    "bilinear, corners": lambda: nn.Upsample(scale_factor=1.5, mode="bilinear", align_corners=True),
    "replication": lambda: nn.ReplicationPad2d((1, 2, 0, 3)),
    "zero pad, uneven": lambda: nn.ZeroPad2d((1, 0, -1, 2)),
    "replicated conv": lambda: nn.Conv2d(4, 4, 3, padding=(2, 1), padding_mode="replicate"),
    "transposed": lambda: nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, dilation=2),
    "grouped, strided": lambda: nn.Conv2d(4, 8, (3, 2), stride=(2, 3), padding=1, groups=2),
    "dilated": lambda: nn.Conv2d(4, 4, 3, stride=2, dilation=2, padding=2),
    "group norm": lambda: nn.GroupNorm(2, 4),
    "mish": nn.Mish,
    "silu in place": lambda: nn.SiLU(inplace=True),
    "hard sigmoid": nn.Hardsigmoid,
    "gelu": nn.GELU,
    "elu": nn.ELU,
}


@pytest.mark.parametrize("between", _BETWEEN)
def test_gradients_pass_what_stands_between_trained_layers(between: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), _BETWEEN[between](), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3)
    )
    x, y, names = torch.randn(6, 3, 7, 8), torch.arange(6) % 3, ("0.weight", "4.weight")
    model.eval()(x)
    graph = trace_train_step(model, names, x, 3)
    known = {"max_pool2d_with_indices", "adaptive_max_pool2d"}
    raw = {str(node.target) for node in graph.graph.nodes if "backward" in str(node.target)}
    assert not raw - known
    values = [dict(model.named_parameters())[name].detach().clone().requires_grad_(True) for name in names]
    loss = F.cross_entropy(functional_call(model, dict(zip(names, values, strict=True)), (x,)), y)
    gradients = torch.autograd.grad(loss, values)
    state = [torch.from_numpy(each) for each in zeros([value.detach().numpy() for value in values])]
    out = graph.module()(
        x, F.one_hot(y, 3).float(), torch.tensor(1e-3), torch.tensor(1e-8), *[each.detach() for each in values], *state
    )
    for first_moment, gradient in zip(out[4:6], gradients, strict=True):
        torch.testing.assert_close(first_moment, 0.1 * gradient, atol=1e-6, rtol=1e-4)
