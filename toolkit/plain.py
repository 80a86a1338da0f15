"""Models as people bring them, made plain: wrappers off, computed weights folded; what cannot travel is refused."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.ao.quantization import FakeQuantizeBase, ObserverBase
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from toolkit.errors import BadInput

_QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.ao.nn.sparse.quantized")


def make_plain(model: nn.Module, where: str) -> nn.Module:
    """The same model in eval mode, float32 and on the CPU, with nothing around it and each weight a parameter.

    What was compiled or made parallel is unwrapped; weights under parametrizations, weight or spectral norm, or pruning
    masks become what they compute in eval mode. Raises BadInput for TorchScript, layers that are quantised or prepared
    for it, and layers whose size is not known yet.
    """
    model = unwrapped(model)
    for name, module in model.named_modules():
        _refuse(name, module, where)
    model.eval()
    for module in model.modules():
        _fold_weights(module)
        _keep_tensors_alone(module)
    for parameter in model.parameters():  # what a user froze is as dense as the rest, and gradients pass through it
        parameter.requires_grad_(parameter.is_floating_point())
    return model.float().cpu()


def unwrapped(model: nn.Module) -> nn.Module:
    """Without what `torch.compile` and `DataParallel` put around the model and its parts."""
    for name, child in list(model.named_children()):
        setattr(model, name, unwrapped(child))
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return model.module
    compiled = getattr(model, "_orig_mod", None)
    return unwrapped(compiled) if isinstance(compiled, nn.Module) else model


def _refuse(name: str, module: nn.Module, where: str) -> None:
    kind, named = type(module).__name__, f"'{name}'" if name else "the model"
    if isinstance(module, torch.jit.ScriptModule):
        raise BadInput(f"{named} is TorchScript", where=where, next="Give the nn.Module that it was made from.")
    if isinstance(module, FakeQuantizeBase | ObserverBase):
        raise BadInput(
            f"the model is prepared for quantisation ({named} is a {kind})",
            where=where,
            next="Give the fp32 model as it was before that: deploy quantises it itself.",
        )
    if type(module).__module__.startswith(_QUANTISED):
        raise BadInput(
            f"{named} is quantised already ({type(module).__module__}.{kind})",
            where=where,
            next="Give the fp32 model: deploy quantises it itself.",
        )
    if any(is_lazy(parameter) for parameter in module.parameters(recurse=False)):
        raise BadInput(
            f"{named} ({kind}) does not know its size yet",
            where=where,
            next="Call the model once in its factory, and load its weights after that.",
        )


def _fold_weights(module: nn.Module) -> None:
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
        elif isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)
    if parametrize.is_parametrized(module):
        assert isinstance(module.parametrizations, nn.ModuleDict)  # as is_parametrized found
        for name in list(module.parametrizations):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _keep_tensors_alone(module: nn.Module) -> None:
    """A state that is no tensor stays with the object; files of weights have no place for it."""
    if type(module).get_extra_state is nn.Module.get_extra_state:
        return

    def leave_out(_: nn.Module, state: dict[str, Any], prefix: str, __: Mapping[str, Any]) -> None:
        state.pop(f"{prefix}_extra_state", None)

    def fill_in(own: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        state.setdefault(f"{prefix}_extra_state", own.get_extra_state())

    module.register_state_dict_post_hook(leave_out)
    module.register_load_state_dict_pre_hook(fill_in)
