"""Put an allocation into a model."""

import copy
from collections.abc import Mapping

import torch
from torch import nn

from toolkit.choice import Choice
from toolkit.compression.channels import RankedChannels, remove_channels
from toolkit.compression.depth import ResidualBlock, remove_block
from toolkit.compression.layers import Compact, CompactConv2d, CompactLinear, Factors, build_compact
from toolkit.compression.sharing import holders
from toolkit.compression.spectrum import Spectrum, factors_at

# What is kept the first so many of, components of a layer or channels of a group; and what goes or stays as a whole.
Spectra = Mapping[str, Spectrum | RankedChannels | ResidualBlock]


def compress(model: nn.Module, spectra: Spectra, chosen: Mapping[str, Choice]) -> nn.Module:
    """A copy of `model` with each layer of some rank made compact, so many channels kept of each group, blocks removed.

    Only cores, and modules that lost channels, require gradients; where a block is gone, all do but the bases of
    compact layers: every layer behind it reads something else. Layers that share a weight with a compact one share its
    factors: one core for all of them.
    """
    removed = [spectra[name] for name, choice in chosen.items() if choice.form == "removed"]
    compact = copy.deepcopy(model).requires_grad_(bool(removed))
    for name, choice in chosen.items():
        if choice.size is None:
            continue
        found = spectra[name]
        if isinstance(found, RankedChannels):
            remove_channels(compact, found, choice.size)
        else:
            assert isinstance(found, Spectrum)  # a block has no size
            make_compact(compact, name, factors_at(found, choice.size))
    for block in removed:  # last: what removes channels draws the graph of a whole network
        assert isinstance(block, ResidualBlock)
        remove_block(compact, block)
    return compact


def make_compact(model: nn.Module, name: str, factors: Factors) -> None:
    """Put those factors in place of the layer of that name, in place, and of all that share its weight."""
    first = model.get_submodule(name)
    if not isinstance(first, nn.Linear | nn.Conv2d):
        raise TypeError(f"{name} is {type(first).__name__}")
    built: dict[nn.Module, nn.Module] = {}
    for place, layer in holders(model, first):
        compact = built.setdefault(layer, build_compact(layer, factors))
        _share_weights(compact, next(iter(built.values())), ("down", "core", "up"))
        _replace(model, place, compact)


def fold_all(model: nn.Module) -> nn.Module:
    """A copy of `model` for inference: every compact layer as its two folded factors, named `down` and `up`."""
    folded = copy.deepcopy(model)
    for first in compact_layers(folded).values():
        pairs: dict[nn.Module, nn.Module] = {}
        for place, layer in sharing_core(folded, first):
            pair = pairs.setdefault(layer, layer.fold())
            _share_weights(pair, next(iter(pairs.values())), ("down", "up"))
            _replace(folded, place, pair)
    return folded.eval()


def compact_layers(model: nn.Module) -> dict[str, Compact]:
    """The compact layers of a model by name; of those that share a core, the first."""
    seen: set[torch.Tensor] = set()
    layers: dict[str, Compact] = {}
    for name, module in model.named_modules():
        if isinstance(module, CompactLinear | CompactConv2d) and module.core.weight not in seen:
            seen.add(module.core.weight)
            layers[name] = module
    return layers


def sharing_core(model: nn.Module, layer: Compact) -> list[tuple[str, Compact]]:
    """Every name of a compact layer with the core of `layer`, that one included; one may have two names."""
    return [
        (name, module)
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, CompactLinear | CompactConv2d) and module.core.weight is layer.core.weight
    ]


def _share_weights(module: nn.Module, first: nn.Module, parts: tuple[str, ...]) -> None:
    """The same parameters in both, but for their biases."""
    for part in parts:
        module.get_submodule(part).weight = first.get_submodule(part).weight


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)
