"""Take channels out of a network: every module of their group becomes that much narrower."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from toolkit.compression.channels.group import Cut, RankedChannels


@torch.no_grad()
def remove_channels(model: nn.Module, ranked: RankedChannels, kept: int) -> None:
    """Leave the first `kept` channels of that order in `model`, in place; what was cut requires gradients.

    Raises IndexError or TypeError where the modules are not those that the group was found in.
    """
    channels = sorted(ranked.order[:kept])
    for cut in ranked.group.cuts:
        index = torch.tensor([place for channel in channels for place in cut.places[channel]])
        module = model.get_submodule(cut.module)
        _narrow(module, cut, index)
        module.requires_grad_(True)


def _narrow(module: nn.Module, cut: Cut, index: torch.Tensor) -> None:
    if isinstance(module, _BatchNorm):
        _take(module, ("weight", "bias", "running_mean", "running_var"), index)
        module.num_features = len(index)
    elif isinstance(module, nn.Conv2d | nn.Linear) and cut.side == "inputs":
        module.weight = nn.Parameter(module.weight[:, index])
        _set_width(module, "in", len(index))
    elif isinstance(module, nn.Conv2d | nn.Linear):
        _take(module, ("weight", "bias"), index)
        _set_width(module, "out", len(index))
        if isinstance(module, nn.Conv2d) and module.groups > 1:  # depthwise
            _set_width(module, "in", len(index))
            module.groups = len(index)
    else:
        raise TypeError(f"{cut.module} is {type(module).__name__}")


def _take(module: nn.Module, names: tuple[str, ...], index: torch.Tensor) -> None:
    for name in names:
        value = getattr(module, name)
        if value is not None:
            taken = value[index]
            setattr(module, name, nn.Parameter(taken) if isinstance(value, nn.Parameter) else taken)


def _set_width(layer: nn.Conv2d | nn.Linear, side: str, width: int) -> None:
    setattr(layer, f"{side}_channels" if isinstance(layer, nn.Conv2d) else f"{side}_features", width)
