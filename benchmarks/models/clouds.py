"""A few weights and clouds of points: what is small enough for a board to learn it hundreds of times."""

import torch
from torch import nn

from toolkit.tasks import Examples, Task


def network() -> nn.Module:
    """Of random weights: what is learned is its head, and torn or not."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 3)).eval()


def task(shots: int = 5, seed: int = 0) -> Task:
    """Three clouds of points that lie close."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))

    def drawn(of_each: int) -> Examples:
        y = torch.arange(3).repeat_interleave(of_each)
        return Examples(centres[y] + 2 * torch.randn(len(y), 64, generator=generator), y)

    return Task("clouds", ("a", "b", "c"), drawn(shots), drawn(20))
