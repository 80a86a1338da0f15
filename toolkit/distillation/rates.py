"""Learning rates that suit a network: each of its tensors is moved by the same share of its size.

Adam moves every weight by about its rate, whatever the gradient: one rate is a nudge to the large weights of a narrow
convolution and destroys a wide linear layer. Source: steps relative to the root mean square of each tensor (Adafactor,
Shazeer & Stern 2018, section 8, with its floor); the share is ours.
"""

from collections.abc import Sequence

import torch

from toolkit.distillation.fit import Groups

_SHARE, _FLOOR = 0.02, 0.1


def relative_rates(parameters: Sequence[torch.Tensor]) -> Groups:
    """Every tensor with 2 % of its root mean square for its highest rate.

    None has less than a tenth of what all matrices and kernels together would have. Biases and what else has one axis
    take the latter: they may be zero, and grow.
    """
    matrices = [each for each in parameters if each.dim() > 1] or list(parameters)
    if not matrices:
        return []
    energy = sum(float(each.detach().double().square().sum()) for each in matrices)
    usual = (energy / sum(each.numel() for each in matrices)) ** 0.5
    return [([each], _SHARE * (max(_size(each), _FLOOR * usual) if each.dim() > 1 else usual)) for each in parameters]


def _size(tensor: torch.Tensor) -> float:
    return float(tensor.detach().square().mean().sqrt())
