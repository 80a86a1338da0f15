"""What an image processor does to pixels, as a part of the network."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Scale:
    """What an image processor does to pixels in 0..1: `(x - mean) / std`, by channel, after turning RGB if `flips`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    flips: bool = False


class Pixels(nn.Module):
    """Images (N, 3, H, W) or grey ones (N, 1, H, W), in 0..1 -> (N, channels, H, W) as the model was trained on."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.flips = scale.flips
        self.register_buffer("mean", torch.tensor(scale.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(scale.std).view(-1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised, grey ones in all channels."""
        x = (x - self.mean) / self.std
        return x.flip(1) if self.flips else x
