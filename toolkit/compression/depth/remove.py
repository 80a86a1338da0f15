"""Take residual blocks out of a network: what the branch computed is gone from its graph, weights and addition too."""

from typing import Any

import torch
from torch import nn

from toolkit.compression.depth.block import Gone, ResidualBlock
from toolkit.compression.depth.nothing import Nothing
from toolkit.compression.depth.returned import Shape, first_tensor

_PLAIN = (bool, int, float, str, tuple)


def remove_block(model: nn.Module, block: ResidualBlock) -> None:
    """Leave x of the block's `x + branch(x)` in `model`, in place; which parameters require gradients stays as it is.

    Raises AttributeError where the modules are not those that the block was found in.
    """
    for gone in block.gone:
        module = model.get_submodule(gone.module)
        absent = Absent(gone, module)
        places = [name for name, each in model.named_modules(remove_duplicate=False) if each is module]
        for parent, _, attribute in (name.rpartition(".") for name in places):
            setattr(model.get_submodule(parent), attribute, absent)


class Absent(nn.Module):
    """Stands where a module of a removed block stood.

    To the addition it returns nothing. What else the branch returns, nobody reads: that is zeros, so that a forward
    runs that takes their shapes, and exporters drop them. What the module was told when it was made can still be read
    (nn.TransformerEncoder asks its first layer's attention for `batch_first`).
    """

    def __init__(self, gone: Gone, module: nn.Module) -> None:
        super().__init__()
        told = {name: value for name, value in vars(module).items() if isinstance(value, _PLAIN) and name[0] != "_"}
        vars(self).update(told)
        self._gone = gone

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """As many outputs as the module had."""
        first = None if self._gone.added else first_tensor((*inputs, *named.values()))
        outputs = tuple(shape if shape is None else _instead(first, shape) for shape in self._gone.returned.shapes)
        return outputs[0] if self._gone.returned.single else outputs


def _instead(first: torch.Tensor | None, shape: Shape) -> torch.Tensor | Nothing:
    return Nothing() if first is None else first.new_zeros((len(first), *shape))
