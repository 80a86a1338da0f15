"""Put an allocation into a model."""

import copy

from torch import nn

from toolkit.compression.jactus import Spectrum, factors_at
from toolkit.compression.layers import CompactConv2d, CompactLinear, build_compact


def compress(model: nn.Module, spectra: dict[str, Spectrum], ranks: dict[str, int | None]) -> nn.Module:
    """A copy of `model` with each layer of rank r made compact; only cores require gradients. None stays dense."""
    compact = copy.deepcopy(model).requires_grad_(False)
    for name, rank in ranks.items():
        if rank is not None:
            layer = compact.get_submodule(name)
            if not isinstance(layer, nn.Linear | nn.Conv2d):
                raise TypeError(f"{name} is {type(layer).__name__}")
            _replace(compact, name, build_compact(layer, factors_at(spectra[name], rank)))
    return compact


def fold_all(model: nn.Module) -> nn.Module:
    """A copy of `model` for inference: every compact layer as its two folded factors, named `down` and `up`."""
    folded = copy.deepcopy(model)
    for name, layer in compact_layers(model).items():
        _replace(folded, name, layer.fold())
    return folded.eval()


def compact_layers(model: nn.Module) -> dict[str, CompactLinear | CompactConv2d]:
    """The compact layers of a model by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, CompactLinear | CompactConv2d)}


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)
