"""One compact model for many ranks: components in a form in which every prefix is the best of its own rank."""

from collections.abc import Mapping

import torch
from torch import nn

from toolkit.choice import Choice
from toolkit.compression import Spectrum, compact_layers, components_at, compress


@torch.no_grad()
def compress_nested(model: nn.Module, spectra: dict[str, Spectrum], chosen: Mapping[str, Choice]) -> nn.Module:
    """As `compress`, with identities for cores: a prefix of r is the product that `factors_at` makes of rank r.

    Bases are not orthonormal. Source of training many ranks in one: Rippel et al. 2014 (nested dropout).
    """
    nested = compress(model, spectra, chosen)
    for name, layer in compact_layers(nested).items():
        left, right = components_at(spectra[name], layer.rank)
        layer.down.weight.copy_(right.T.reshape(layer.down.weight.shape))
        layer.core.weight.copy_(torch.eye(layer.rank).reshape(layer.core.weight.shape))
        layer.up.weight.copy_(left.reshape(layer.up.weight.shape))
    return nested
