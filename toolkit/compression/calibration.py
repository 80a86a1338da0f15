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
from torch import nn

from toolkit.compression.layers import Dense, matrix
from toolkit.compression.rows import gradient_rows, input_rows, require_finite
from toolkit.compression.sharing import frozen, holders
from toolkit.errors import BadInput
from toolkit.inputs import Inputs, differentiable
from toolkit.objectives import CLASSIFICATION, Objective

# Only the upper triangle of a covariance is computed, in blocks: five eighths of the work with four to a side.
_BLOCKS = 4
# So many rows at a time, or a batch's if it has more: the float64 sum of a wide layer is read and written for each.
_ROWS = 512


@dataclass(frozen=True)
class LayerStatistics:
    """What one layer saw: `sigma_x` (n, n) and `sigma_g` (m, m) in float64."""

    sigma_x: torch.Tensor
    sigma_g: torch.Tensor


def calibrate(
    model: nn.Module,
    layers: dict[str, Dense],
    batches: Iterable[tuple[Inputs, Callable[[torch.Tensor], torch.Tensor]]],
    objective: Objective = CLASSIFICATION,
    *,
    temperature: float = 2.0,
    draws: int = 2,
    seed: int = 0,
) -> dict[str, LayerStatistics]:
    """Stream `(x, features -> outputs)` batches through `model` (x -> features) and accumulate both covariances.

    The `objective` draws targets for each batch `draws` times. Memory does not grow with the number of batches. What a
    layer sees in several calls, or several layers that share a weight, adds up. Raises BadInput that names the layer if
    what it saw is not finite.
    """
    sums = {name: _Sums(matrix(layer)) for name, layer in layers.items()}
    examples = 0
    generator = torch.Generator().manual_seed(seed)
    handles = [
        module.register_forward_hook(_accumulate_into(sums[name]))
        for name, layer in layers.items()
        for module in dict.fromkeys(module for _, module in holders(model, layer))
    ]
    try:
        for x, classify in batches:
            with frozen(model, layers), torch.enable_grad():
                outputs = classify(model(*differentiable(x)))
                if not torch.isfinite(outputs).all():
                    raise _not_finite(sums)
                examples += len(x)
                for draw in range(draws):
                    loss = objective.drawn_loss(outputs, temperature, generator).sum()
                    loss.backward(retain_graph=draw < draws - 1)
                    model.zero_grad(set_to_none=True)
    finally:
        for handle in handles:
            handle.remove()
    for name in reversed(layers):  # a gradient spoils those of all layers that ran before
        require_finite(name, gradients=sums[name].gradients.total())
    return {name: sums.pop(name).finish(examples * draws) for name in layers}


def _not_finite(sums: "dict[str, _Sums]") -> BadInput:
    for name, each in sums.items():
        require_finite(name, inputs=each.inputs.total())
    return BadInput(
        "its outputs on the calibration examples hold NaN or infinity",
        where="model",
        next="Check it on the task's inputs: their scale may be another than the model was trained on.",
    )


class _Sums:
    """Running float64 sums of one layer, in upper triangles of blocks."""

    def __init__(self, weight: torch.Tensor) -> None:
        m, n = weight.shape
        self.inputs, self.gradients = _OuterProducts(n), _OuterProducts(m)
        self.rows = 0

    def finish(self, draws: int) -> LayerStatistics:
        xx, gg = self.inputs.total(), self.gradients.total()
        return LayerStatistics(_mirrored(xx.div_(max(1, self.rows))), _mirrored(gg.div_(max(1, draws))))


class _OuterProducts:
    """A running sum of `rows^T rows`. Adding to it costs more than multiplying few rows: they wait for others."""

    def __init__(self, width: int) -> None:
        self._sum = torch.zeros(width, width, dtype=torch.float64)
        self._waiting: list[torch.Tensor] = []

    def add(self, rows: torch.Tensor) -> None:
        """Rows (any number, width), float32."""
        if len(rows) >= _ROWS:
            _add_outer(self._sum, rows)
            return
        self._waiting.append(rows.clone())  # the network may write over its activations
        if sum(map(len, self._waiting)) >= _ROWS:
            self.total()

    def total(self) -> torch.Tensor:
        """The sum so far, (width, width), in upper triangles of blocks."""
        if self._waiting:
            _add_outer(self._sum, torch.cat(self._waiting))
            self._waiting.clear()
        return self._sum


def _accumulate_into(sums: _Sums) -> Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]:
    def hook(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        for rows in input_rows(layer, inputs[0].detach()):
            sums.inputs.add(rows)
            sums.rows += len(rows)
        if output.requires_grad:
            output.register_hook(lambda gradient: sums.gradients.add(gradient_rows(layer, gradient)))

    return hook


def _add_outer(total: torch.Tensor, rows: torch.Tensor) -> None:
    """Add `rows^T rows` of some batches, float32, to the upper triangle of a float64 total over all."""
    width = -(-len(total) // _BLOCKS)
    for start in range(0, len(total), width):
        total[start : start + width, start:] += rows[:, start : start + width].T @ rows[:, start:]


def _mirrored(upper: torch.Tensor) -> torch.Tensor:
    return upper.triu_().add_(upper.triu(1).T)
