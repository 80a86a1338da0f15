"""Give trained factors the form of a compact layer again: orthonormal bases around one core."""

import torch
from torch import nn

from toolkit.compression.compress import compact_layers


@torch.no_grad()
def make_bases_orthonormal(model: nn.Module) -> None:
    """Change every compact layer in place to orthonormal `up` and `down` with the same product `up core down`.

    The first k columns of a base span what they spanned before, for every k: what is most valuable stays in front.
    """
    for layer in compact_layers(model).values():
        up, core, down = (part.weight.double() for part in (layer.up, layer.core, layer.down))
        u, left = torch.linalg.qr(up.flatten(1))
        v, right = torch.linalg.qr(down.flatten(1).T)
        layer.up.weight.copy_(u.reshape(up.shape))
        layer.core.weight.copy_((left @ core.flatten(1) @ right.T).reshape(core.shape))
        layer.down.weight.copy_(v.T.reshape(down.shape))
