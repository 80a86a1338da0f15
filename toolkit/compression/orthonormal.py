"""Give trained factors the form of a compact layer again: orthonormal bases around one core."""

import torch
from torch import nn

from toolkit.compression.compress import compact_layers


@torch.no_grad()
def make_bases_orthonormal(model: nn.Module) -> None:
    """Change every compact layer in place to orthonormal `up` and `down` with the same product `up core down`.

    The first k columns of a base span what they spanned before, for every k: what is most valuable stays in front. None
    changes its sign, so that bases which are orthonormal stay what they are.
    """
    for layer in compact_layers(model).values():
        up, core, down = (part.weight.double() for part in (layer.up, layer.core, layer.down))
        u, left = _upright_qr(up.flatten(1))
        v, right = _upright_qr(down.flatten(1).T)
        layer.up.weight.copy_(u.reshape(up.shape))
        layer.core.weight.copy_((left @ core.flatten(1) @ right.T).reshape(core.shape))
        layer.down.weight.copy_(v.T.reshape(down.shape))


def _upright_qr(base: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Q and R, its diagonal not negative: as Householder's method leaves it, signs are arbitrary."""
    q, r = torch.linalg.qr(base)
    signs = torch.where(r.diagonal() < 0, -1.0, 1.0)
    return q * signs, signs[:, None] * r
