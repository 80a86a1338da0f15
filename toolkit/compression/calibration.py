"""Input and pre-activation-gradient covariances of every compressible layer, in one streaming pass.

Source: JACTUS estimates both from a small calibration set (abstract); the weighting of positions follows K-FAC-expand
(Eschenhagen et al. 2023): E[x x^T] averages over examples and positions, E[g g^T] sums over positions, so that
`1/2 ||Sg^1/2 dW Sx^1/2||^2` estimates the loss that the change dW costs one example. Gradients are those of labels
drawn from the model's own softened prediction (the true Fisher, Martens 2014): at temperature T that is the Hessian of
the distillation loss we recover with, and it does not vanish on a model that fits its calibration set.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.compression.layers import Dense, matrix
from toolkit.errors import BadInput


@dataclass(frozen=True)
class LayerStatistics:
    """What one layer saw: `sigma_x` (n, n) and `sigma_g` (m, m) in float64."""

    sigma_x: torch.Tensor
    sigma_g: torch.Tensor


def compressible_layers(model: nn.Module, example: torch.Tensor) -> dict[str, Dense]:
    """Linear and Conv2d (groups = 1) layers that run as modules on `example` (1, *input_shape), in order of execution.

    Layers whose weight a parent reads directly (the output projection of nn.MultiheadAttention, tied weights) are left
    out: replacing the module would not replace the computation. So are subclasses that compute something else with
    their weight, and layers that no gradient of the output reaches: what they are worth could not be measured. Raises
    BadInput if none is left.
    """
    # The fused path of nn.TransformerEncoderLayer reads weights without calling the layers that hold them.
    torch.backends.mha.set_fastpath_enabled(False)
    outputs: dict[str, torch.Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: outputs.setdefault(name, output))
        for name, module in model.named_modules()
        if name and _is_plain(module)
    ]
    try:
        with torch.enable_grad():
            output = model(example.detach().requires_grad_(True))
    finally:
        for handle in handles:
            handle.remove()
    traced = {name: each for name, each in outputs.items() if each.requires_grad}
    gradients = torch.autograd.grad(output.sum(), list(traced.values()), allow_unused=True) if traced else ()
    reached = [name for name, gradient in zip(traced, gradients, strict=True) if gradient is not None]
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    layers: dict[str, Dense] = {}
    for name in reached:
        layer = model.get_submodule(name)
        tied = len(owners.get(id(layer.weight), ())) > 1  # computed weights have no name
        if isinstance(layer, nn.Linear | nn.Conv2d) and not tied and getattr(layer, "groups", 1) == 1:
            layers[name] = layer
    if not layers:
        raise BadInput(
            "has no compressible layer (nn.Linear, or nn.Conv2d with groups=1, besides the head)",
            where=f"model {type(model).__name__}",
            next="Write its matrix products as nn.Linear or nn.Conv2d modules.",
        )
    return layers


def calibrate(
    model: nn.Module,
    layers: dict[str, Dense],
    batches: Iterable[tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]],
    *,
    temperature: float = 2.0,
    draws: int = 2,
    seed: int = 0,
) -> dict[str, LayerStatistics]:
    """Stream `(x, features -> logits)` batches through `model` (x -> features) and accumulate both covariances.

    Each batch is drawn `draws` times. Memory does not grow with the number of batches.
    """
    sums = {name: _Sums(matrix(layer)) for name, layer in layers.items()}
    examples = 0
    generator = torch.Generator().manual_seed(seed)
    handles = [layer.register_forward_hook(_accumulate_into(sums[name])) for name, layer in layers.items()]
    try:
        for x, classify in batches:
            with torch.enable_grad():
                logits = classify(model(x.detach().requires_grad_(True))) / temperature
                log_p = F.log_softmax(logits, -1)
            examples += len(x)
            for draw in range(draws):
                labels = torch.multinomial(log_p.detach().exp(), 1, generator=generator)[:, 0]
                # T^2 keeps gradients on the scale of the task loss, as in Hinton et al. 2015, section 2.
                loss = F.nll_loss(log_p, labels, reduction="sum") * temperature
                loss.backward(retain_graph=draw < draws - 1)
                model.zero_grad(set_to_none=True)
    finally:
        for handle in handles:
            handle.remove()
    return {name: each.finish(examples * draws) for name, each in sums.items()}


class _Sums:
    """Running float64 sums of one layer."""

    def __init__(self, weight: torch.Tensor) -> None:
        m, n = weight.shape
        self.xx = torch.zeros(n, n, dtype=torch.float64)
        self.gg = torch.zeros(m, m, dtype=torch.float64)
        self.rows = 0

    def finish(self, draws: int) -> LayerStatistics:
        return LayerStatistics(self.xx / max(1, self.rows), self.gg / max(1, draws))


def _accumulate_into(sums: _Sums) -> Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]:
    def hook(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        x = inputs[0].detach()
        for rows in _input_rows(layer, x):
            sums.xx += rows.T @ rows
            sums.rows += len(rows)
        output.register_hook(lambda gradient: add_gradient(layer, gradient))

    def add_gradient(layer: nn.Module, gradient: torch.Tensor) -> None:
        by_row = gradient.transpose(1, -1) if isinstance(layer, nn.Conv2d) else gradient
        rows = by_row.reshape(-1, by_row.shape[-1]).double()
        sums.gg += rows.T @ rows

    return hook


def _input_rows(layer: nn.Module, x: torch.Tensor) -> Iterable[torch.Tensor]:
    """The layer's inputs as rows (positions, n), a few examples at a time: patches of a convolution are many."""
    if not isinstance(layer, nn.Conv2d):
        yield x.reshape(-1, x.shape[-1]).double()
        return
    for chunk in x.split(8):
        padded = _pad(layer, chunk)
        patches = F.unfold(padded, layer.kernel_size, layer.dilation, 0, layer.stride)
        yield patches.transpose(1, 2).reshape(-1, patches.shape[1]).double()


def _pad(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """What the convolution's kernel slides over; 'same' pads an odd remainder at the end, as PyTorch does."""
    if layer.padding == "valid":
        return x
    around: list[int] = []
    for axis in (1, 0):  # F.pad names the last axis first
        if layer.padding == "same":
            total = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
            around += [total // 2, total - total // 2]
        else:
            around += [int(layer.padding[axis])] * 2
    return F.pad(x, around, mode="constant" if layer.padding_mode == "zeros" else layer.padding_mode)


def _is_plain(module: nn.Module) -> bool:
    """A Linear or Conv2d that computes what its class says; a subclass may standardise or mask its weight first."""
    if isinstance(module, nn.Linear):
        return type(module).forward is nn.Linear.forward
    return isinstance(module, nn.Conv2d) and (
        type(module).forward is nn.Conv2d.forward and type(module)._conv_forward is nn.Conv2d._conv_forward
    )
