"""Compute in fp32 as an int8 program would: weights and inputs rounded to its steps, gradients as if they were not.

Or as an fp16 program: weights, inputs and outputs of layers are numbers that fp16 has, infinite beyond 65,504.

Sources: the straight-through estimator (Bengio et al. 2013), training under the arithmetic that is deployed (Jacob et
al. 2018, section 3). Weights are symmetric, with a step for each output channel; inputs have one range a layer. A batch
normalisation that the runtime folds into a convolution scales whole output channels, and their steps with them: folded
or not, weights are rounded to the same values.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.compression.layers import Compact, CompactConv2d, CompactLinear, Dense
from toolkit.distillation.sums import visited_sums
from toolkit.runtimes.arithmetic import Activations, Quantisation

_WEIGHT_MOST = 127  # -128 stays unused, as in ONNX Runtime and XNNPACK
_STEPS = 255
_SMALLEST = torch.finfo(torch.float32).tiny


def quantised_layers(model: nn.Module, quantisation: Quantisation) -> dict[str, Dense | nn.Conv1d]:
    """The layers that run in int8, by name: Linear, Conv1d, Conv2d, and of a compact layer its `down` and `up`.

    A compact layer's `core` is none: it runs folded into `down`. Nor are convolutions whose activations are dynamic: no
    runtime gains from it. Empty unless the arithmetic is int8.
    """
    return _layers(model, quantisation) if quantisation.arithmetic.precision == "int8" else {}


def _layers(model: nn.Module, quantisation: Quantisation) -> dict[str, Dense | nn.Conv1d]:
    """Those that leave fp32, by name."""
    kinds = nn.Linear if quantisation.arithmetic.activations == "dynamic" else Dense | nn.Conv1d
    cores = {module.core for module in model.modules() if isinstance(module, CompactLinear | CompactConv2d)}
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, kinds)
        and module not in cores
        and not any(name == each or name.startswith(f"{each}.") for each in quantisation.fp32_layers)
    }


@contextmanager
def fake_quantised(model: nn.Module, quantisation: Quantisation, ranges: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Inside, `model` computes as its int8 or fp16 program does, and gradients reach its fp32 weights.

    `ranges` (see `read_ranges`) hold lowest and highest (2,) of what each layer sees, and may change in place; an input
    beyond them is clipped and gets no gradient. So are operands of sums. Of dynamic activations, each example has a
    range of its own, as the board sees one at a time, and sums stay fp32. What no int8 layer and no sum reads is not
    rounded, as the last outputs and what an fp32 layer reads, though a static program rounds them too.
    """
    layers = _layers(model, quantisation) if quantisation.arithmetic.precision != "fp32" else {}
    activations = quantisation.arithmetic.activations
    compact: dict[nn.Module, Compact] = {
        each.down: each for each in model.modules() if isinstance(each, CompactLinear | CompactConv2d)
    }
    changed: list[nn.Module] = []

    def compute(module: nn.Module, forward: Callable[[torch.Tensor], torch.Tensor]) -> None:
        module.forward = forward
        changed.append(module)

    for name, layer in layers.items():
        in_half = quantisation.arithmetic.precision == "fp16"
        whole = compact.get(layer)
        compute(layer, _halved(layer, whole) if in_half else _forward(layer, whole, ranges.get(name), activations))
        if layer in compact:
            compute(compact[layer].core, lambda x: x)
    try:
        with _rounded_sums(model, ranges, activations):
            yield
    finally:
        for module in changed:
            del module.forward  # the class's own again


def _rounded_sums(
    model: nn.Module, ranges: Mapping[str, torch.Tensor], activations: Activations | None
) -> AbstractContextManager[None]:
    if activations in (None, "dynamic"):
        return nullcontext()
    return visited_sums(model, lambda name, x: _rounded(x, ranges.get(name), activations == "signed"))


def _forward(
    layer: Dense | nn.Conv1d, whole: Compact | None, limits: torch.Tensor | None, activations: Activations | None
) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        weight = _rounded_weight(layer.weight if whole is None else _folded(whole))
        x = _rounded_each(x) if activations == "dynamic" else _rounded(x, limits, activations == "signed")
        return _applied(layer, x, weight, layer.bias)

    return forward


def _halved(layer: Dense | nn.Conv1d, whole: Compact | None) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        weight = _half(layer.weight if whole is None else _folded(whole))
        return _half(_applied(layer, _half(x), weight, None if layer.bias is None else _half(layer.bias)))

    return forward


def _half(x: torch.Tensor) -> torch.Tensor:
    return x.half().float()


def _applied(
    layer: Dense | nn.Conv1d, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    return F.linear(x, weight, bias) if isinstance(layer, nn.Linear) else layer._conv_forward(x, weight, bias)


def _folded(layer: Compact) -> torch.Tensor:
    """The weight of `fold()`, with gradients."""
    return (layer.core.weight.flatten(1) @ layer.down.weight.flatten(1)).view_as(layer.down.weight)


def _rounded_weight(weight: torch.Tensor) -> torch.Tensor:
    step = (weight.detach().flatten(1).abs().amax(1) / _WEIGHT_MOST).clamp_min(_SMALLEST)
    zero = torch.zeros_like(step, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, step, zero, 0, -_WEIGHT_MOST, _WEIGHT_MOST)


def _rounded(x: torch.Tensor, limits: torch.Tensor | None, signed: bool) -> torch.Tensor:
    """As it is where no range was read: nothing came by."""
    if limits is None:
        return x
    low = -_STEPS // 2 if signed else 0
    step, zero = _step_and_zero(limits[0], limits[1], low)
    return torch.fake_quantize_per_tensor_affine(x, step, zero, low, low + _STEPS)


def _rounded_each(x: torch.Tensor) -> torch.Tensor:
    rows = x.detach().flatten(1)
    step, zero = _step_and_zero(rows.amin(1), rows.amax(1), 0)
    return torch.fake_quantize_per_channel_affine(x, step, zero, 0, 0, _STEPS)


def _step_and_zero(lowest: torch.Tensor, highest: torch.Tensor, low: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Zero has a value of its own, as what a convolution pads with."""
    lowest, highest = lowest.clamp_max(0), highest.clamp_min(0)
    step = ((highest - lowest) / _STEPS).clamp_min(_SMALLEST)
    return step, (low - lowest / step).round().to(torch.int32)
