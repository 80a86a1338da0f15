"""Rewrite the layers of a model that have another kind."""

import copy

import torch
from torch import nn

from toolkit.inputs import Inputs
from toolkit.models import MISFIT
from toolkit.rewrites.attention import Attention, has_plain_projections
from toolkit.rewrites.convolution import FlatConv
from toolkit.rewrites.transposed import as_linear, is_transposed
from toolkit.surroundings import is_touched, look_like

_DIFFERENCE = 1e-4  # of the largest output


@torch.no_grad()
def rewrite(model: nn.Module, x: Inputs) -> nn.Module:
    """A copy in which they are `nn.Linear` and `nn.Conv2d`; the model itself if that answers otherwise on `x`.

    Subclasses, and layers that somebody hung something on, stay as they are.
    """
    torch.backends.mha.set_fastpath_enabled(False)  # it reads weights of attention without calling it
    rewritten, built = copy.deepcopy(model), dict[nn.Module, nn.Module]()
    shared = _shared_parameters(rewritten)
    for name, module in list(rewritten.named_modules(remove_duplicate=False)):
        is_own = not is_touched(module) and shared.isdisjoint(module.parameters())
        other = built.get(module) or (_rewritten(module) if name and is_own else None)
        if other is not None:
            look_like(module, other)
            built[module] = other.train(module.training)
            parent, _, attribute = name.rpartition(".")
            setattr(rewritten.get_submodule(parent), attribute, other)
    if not built:
        return model
    try:
        before, after = model(*x), rewritten(*x)
    except MISFIT:
        return model
    return rewritten if _alike(before, after) else model


def _shared_parameters(model: nn.Module) -> set[nn.Parameter]:
    """Those that more than one module holds."""
    holders: dict[nn.Parameter, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            holders[parameter] = holders.get(parameter, 0) + 1
    return {parameter for parameter, count in holders.items() if count > 1}


def _rewritten(module: nn.Module) -> nn.Module | None:
    if type(module) is nn.Conv1d:
        return FlatConv(module)
    if type(module) is nn.MultiheadAttention and has_plain_projections(module):
        return Attention(module)
    return as_linear(module) if is_transposed(module) else None


def _alike(before: object, after: object) -> bool:
    if not isinstance(before, torch.Tensor) or not isinstance(after, torch.Tensor):
        return False
    return torch.allclose(after, before, rtol=1e-4, atol=_DIFFERENCE * float(before.abs().max()))
