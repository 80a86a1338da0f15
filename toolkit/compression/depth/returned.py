"""What the modules of a network return, so that something else can return the like of it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from toolkit.inputs import Inputs

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Returned:
    """One tensor, or a tuple of them: their shapes without the first dimension, which is that of the first input.

    None stands for a None among them.
    """

    shapes: tuple[Shape | None, ...]
    single: bool


@torch.no_grad()
def watch_returns(model: nn.Module, example: Inputs) -> dict[nn.Module, Returned]:
    """What modules return on one `example`, without those that return other things."""
    seen: dict[nn.Module, set[Returned | None]] = {}

    def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        seen.setdefault(module, set()).add(_returned((*inputs, *named.values()), output))

    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in model.modules()]
    try:
        model(*(each.clone() for each in example))
    finally:
        for handle in handles:
            handle.remove()
    return {module: one for module, (one, *others) in seen.items() if one is not None and not others}


def first_tensor(inputs: tuple[Any, ...]) -> torch.Tensor | None:
    """The one whose first dimension counts."""
    return next((each for each in inputs if isinstance(each, torch.Tensor)), None)


def _returned(inputs: tuple[Any, ...], output: Any) -> Returned | None:
    first, outputs = first_tensor(inputs), output if isinstance(output, tuple) else (output,)
    if first is None:
        return None
    for each in outputs:
        if each is not None and (not isinstance(each, torch.Tensor) or each.shape[:1] != first.shape[:1]):
            return None
    shapes = tuple(None if each is None else tuple(each.shape[1:]) for each in outputs)
    return Returned(shapes, single=not isinstance(output, tuple))
