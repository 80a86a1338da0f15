"""A layer's inputs and pre-activation gradients as rows, one a position: a convolution is linear in its patches."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.errors import BadInput

_EXAMPLES = 8


def input_rows(layer: nn.Module, x: torch.Tensor) -> Iterator[torch.Tensor]:
    """The inputs as (positions, n), a few examples at a time: patches of a convolution are many."""
    if not isinstance(layer, nn.Conv2d):
        yield x.reshape(-1, x.shape[-1])
        return
    for chunk in x.split(_EXAMPLES):
        patches = F.unfold(_padded(layer, chunk), layer.kernel_size, layer.dilation, 0, layer.stride)
        yield patches.transpose(1, 2).reshape(-1, patches.shape[1])


def gradient_rows(layer: nn.Module, gradient: torch.Tensor) -> torch.Tensor:
    """The gradients at the outputs as (positions, m), in the order of `input_rows`."""
    by_row = gradient.flatten(2).transpose(1, 2) if isinstance(layer, nn.Conv2d) else gradient
    return by_row.reshape(-1, by_row.shape[-1])


def require_finite(layer: str, **found: torch.Tensor) -> None:
    """Raises BadInput if what was found of that layer holds NaN or infinity."""
    for what, values in found.items():
        if not torch.isfinite(values).all():
            raise BadInput(
                f"its {what} on the calibration examples hold NaN or infinity",
                where=f"layer {layer}",
                next="Check the model's outputs on the task's inputs: it may overflow, or divide by zero.",
            )


def _padded(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """What the convolution's kernel slides over; 'same' pads an odd remainder at the end, as PyTorch does."""
    if layer.padding == "valid":
        return x
    around: list[int] = []
    for axis in (1, 0):  # F.pad names the last axis first
        if layer.padding == "same":
            total = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
            around += [total // 2, total - total // 2]
        else:
            around += [int(layer.padding[axis])] * 2
    return F.pad(x, around, mode="constant" if layer.padding_mode == "zeros" else layer.padding_mode)
