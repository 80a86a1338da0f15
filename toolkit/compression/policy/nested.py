"""One compact model for many ranks: components in a form in which every prefix is the best of its own rank."""

import torch
from torch import nn

from toolkit.compression import Spectrum, compact_layers, compress


@torch.no_grad()
def compress_nested(model: nn.Module, spectra: dict[str, Spectrum], ranks: dict[str, int | None]) -> nn.Module:
    """As `compress`, with identities for cores: a prefix of r is the product that `factors_at` makes of rank r.

    Bases are not orthonormal. Source of training many ranks in one: Rippel et al. 2014 (nested dropout).
    """
    nested = compress(model, spectra, ranks)
    for name, layer in compact_layers(nested).items():
        left, right = spectra[name].left * spectra[name].values, spectra[name].right
        left, right = left[:, : layer.rank], right[:, : layer.rank]
        balance = (right.norm(dim=0) / left.norm(dim=0).clamp_min(1e-30)).clamp(1e-6, 1e6).sqrt()
        layer.down.weight.copy_((right / balance).T.reshape(layer.down.weight.shape))
        layer.core.weight.copy_(torch.eye(layer.rank).reshape(layer.core.weight.shape))
        layer.up.weight.copy_((left * balance).reshape(layer.up.weight.shape))
    return nested
