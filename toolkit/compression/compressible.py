"""Which layers of a model may be made compact: those whose replacement replaces their computation."""

import torch
from torch import nn

from toolkit.compression.layers import Dense
from toolkit.compression.sharing import frozen, holders
from toolkit.errors import BadInput
from toolkit.inputs import Inputs, differentiable
from toolkit.surroundings import is_touched


def compressible_layers(model: nn.Module, example: Inputs) -> dict[str, Dense]:
    """Linear and Conv2d (groups = 1) layers that run as modules on one `example`, in order of execution.

    Layers that share a weight are one decision, named by the first that runs. Layers whose weight is read elsewhere too
    (by the parent, as in nn.MultiheadAttention, or by an embedding) are left out: replacing the module would not
    replace the computation. So are subclasses that compute something else with their weight, and layers that no
    gradient of the output reaches, or that the input does not: what they are worth could not be measured. Raises
    BadInput if none is left.
    """
    # The fused path of nn.TransformerEncoderLayer reads weights without calling the layers that hold them.
    torch.backends.mha.set_fastpath_enabled(False)
    owners: dict[torch.Tensor, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(parameter, set()).add(name)
    candidates: dict[str, Dense] = {}
    sharing: dict[str, list[Dense]] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and name:
            places = holders(model, module)
            # a computed weight has no owner
            read_elsewhere = owners.get(module.weight, set()) - {f"{place}.weight" for place, _ in places}
            if not read_elsewhere and all(_is_plain(each) for _, each in places):
                candidates[name], sharing[name] = module, [each for _, each in places]
    reached = _reached(model, example, candidates)
    layers: dict[str, Dense] = {}
    for name, layer in reached.items():
        decided = any(each is other for each in sharing[name] for other in layers.values())
        if not decided and all(each in reached.values() for each in sharing[name]):
            layers[name] = layer
    return layers


def fixed_layers(model: nn.Module, example: Inputs) -> dict[str, Dense]:
    """Grouped convolutions that run as modules on `example`: never compact, they have a precision to choose."""
    candidates: dict[str, Dense] = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and name and module.groups > 1 and _is_as_written(module)
        if len(holders(model, module)) == 1
    }
    return _reached(model, example, candidates) if candidates else {}


def _reached(model: nn.Module, example: Inputs, layers: dict[str, Dense]) -> dict[str, Dense]:
    """Those that run between the input and the output, in order of execution."""
    outputs: dict[str, torch.Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: outputs.setdefault(name, output))
        for name, module in layers.items()
    ]
    try:
        with frozen(model, layers), torch.enable_grad():
            result = model(*differentiable(example)).sum()
            if not result.requires_grad:
                raise BadInput(
                    "no gradient passes through the model",
                    where=f"model {type(model).__name__}",
                    next="Keep its forward in torch, without numpy, detach() or no_grad(); give numbers as floats.",
                )
            traced = {name: each for name, each in outputs.items() if each.requires_grad}
            found = torch.autograd.grad(result, list(traced.values()), allow_unused=True) if traced else ()
    finally:
        for handle in handles:
            handle.remove()
    return {name: layers[name] for name, gradient in zip(traced, found, strict=True) if gradient is not None}


def _is_plain(layer: Dense) -> bool:
    """Computes what its class says, on all inputs: a subclass may standardise or mask its weight first."""
    if isinstance(layer, nn.Linear):
        return type(layer).forward is nn.Linear.forward and not is_touched(layer)
    return _is_as_written(layer) and layer.groups == 1


def _is_as_written(layer: nn.Conv2d) -> bool:
    of_class = type(layer)
    is_own = of_class.forward is nn.Conv2d.forward and of_class._conv_forward is nn.Conv2d._conv_forward
    return is_own and not is_touched(layer)
