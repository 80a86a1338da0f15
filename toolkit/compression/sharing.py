"""Layers that share one weight: one decision for all of them, and nothing done to one that is not done to all."""

import contextlib
from collections.abc import Iterator

from torch import nn

from toolkit.compression.layers import Dense


def holders(model: nn.Module, layer: Dense) -> list[tuple[str, Dense]]:
    """Every name in `model` of a Linear or Conv2d that computes with the weight of `layer`; one may have two names."""
    weight = _own_weight(layer)
    return [
        (name, module)
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, nn.Linear | nn.Conv2d)
        and (module is layer or (weight is not None and _own_weight(module) is weight))
    ]


@contextlib.contextmanager
def frozen(model: nn.Module, layers: dict[str, Dense]) -> Iterator[None]:
    """Inside, no gradient of those layers' own parameters is computed: half the work of a backward pass."""
    parameters = {
        parameter: parameter.requires_grad
        for layer in layers.values()
        for _, module in holders(model, layer)
        for parameter in module.parameters()
    }
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, required in parameters.items():
            parameter.requires_grad_(required)


def _own_weight(layer: Dense) -> nn.Parameter | None:
    """The parameter itself; None where the weight is computed from others."""
    return dict(layer.named_parameters(recurse=False)).get("weight")
