"""A small model and task for tests on boards: seconds to profile and to train, on an emulated core as well."""

import torch
from torch import nn

from toolkit.tasks import Examples, Task


def model() -> nn.Module:
    """(N, 1, 8, 8) -> (N, 5)."""
    torch.manual_seed(0)
    layers = nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 5)
    return nn.Sequential(nn.Flatten(), *layers)


def task(shots: int, seed: int) -> Task:
    """Three noisy patterns."""
    means = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(seed)

    def draw(count: int) -> Examples:
        y = torch.arange(3).repeat_interleave(count)
        return Examples(means[y] + 0.3 * torch.randn(len(y), 1, 8, 8, generator=generator), y)

    return Task("patterns", ("a", "b", "c"), draw(shots), draw(4))
