"""The empirical Fisher information of every weight: the mean over examples of its squared gradient."""

from collections.abc import Callable

import torch
from torch import nn

from toolkit.compression.calibration_set import Labelled
from toolkit.compression.layers import Dense, matrix
from toolkit.compression.rows import gradient_rows, input_rows, require_finite
from toolkit.compression.sharing import frozen, holders
from toolkit.inputs import differentiable
from toolkit.objectives import CLASSIFICATION, Objective


def diagonal_fisher(
    model: nn.Module, layers: dict[str, Dense], data: Labelled, objective: Objective = CLASSIFICATION
) -> dict[str, torch.Tensor]:
    """Layer -> (m, n) float64: `E[(dL/dw)^2]` of the loss on the targets, one example at a time.

    A layer called more than once, or a weight that several layers hold, has the gradient of all its calls. Raises
    BadInput that names the layer if a gradient is not finite.
    """
    squares = {name: torch.zeros(matrix(layer).shape, dtype=torch.float64) for name, layer in layers.items()}
    of_example: dict[str, torch.Tensor] = {}
    handles = [
        module.register_forward_hook(_add_gradient_to(of_example, name))
        for name, layer in layers.items()
        for module in dict.fromkeys(module for _, module in holders(model, layer))
    ]
    try:
        with frozen(model, layers), torch.enable_grad():
            for x, y in zip(data.examples.x.split(1), data.examples.y.split(1), strict=True):
                of_example.clear()
                objective.loss(data.head(model(*differentiable(x))), y).sum().backward()
                model.zero_grad(set_to_none=True)
                for name, gradient in of_example.items():
                    squares[name] += gradient.double() ** 2
    finally:
        for handle in handles:
            handle.remove()
    for name, each in squares.items():
        require_finite(name, gradients=each)
    return {name: each / max(1, len(data.examples)) for name, each in squares.items()}


def _add_gradient_to(
    sums: dict[str, torch.Tensor], name: str
) -> Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]:
    def hook(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        x = inputs[0].detach()

        def add(gradient: torch.Tensor) -> None:
            rows = torch.cat(list(input_rows(layer, x)))
            sums[name] = sums.get(name, 0) + gradient_rows(layer, gradient).T @ rows

        if output.requires_grad:
            output.register_hook(add)

    return hook
