"""Networks of several inputs or outputs."""

import torch
from torch import nn

from benchmarks.models.coverage.case import Case
from benchmarks.models.coverage.tasks import classes
from toolkit.tasks import Task

_HERE, _TASKS = "benchmarks.models.coverage.several", "benchmarks.models.coverage.tasks"


class _TwoInputs(nn.Module):
    """An image (3, 32, 32) and eight facts about it -> 3 classes."""

    def __init__(self) -> None:
        super().__init__()
        pool = nn.AdaptiveAvgPool2d(2), nn.Flatten()
        self.seen = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 32, 3, 2, 1), nn.ReLU(), *pool)
        self.told = nn.Sequential(nn.Linear(8, 32), nn.ReLU())
        self.both, self.head = nn.Linear(160, 64), nn.Linear(64, 3)

    def forward(self, image: torch.Tensor, facts: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.both(torch.cat([self.seen(image), self.told(facts)], 1))))


def two_inputs() -> nn.Module:
    """By name."""
    torch.manual_seed(0)
    return _TwoInputs()


def images_with_facts(shots: int, seed: int) -> Task:
    """Patterns, and a mean of its own for each class's facts."""
    patterns = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(7))
    means = torch.randn(3, 8, generator=torch.Generator().manual_seed(8))
    return classes(
        "both",
        shots,
        seed,
        lambda y, noise: {
            "image": (patterns[y] + 0.2 * noise(patterns[y].shape)).clamp(0, 1),
            "facts": means[y] + noise(means[y].shape),
        },
    )


class _Dictionary(nn.Module):
    """Gives its features beside its logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 48, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(48, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.body(x).mean((2, 3))
        return {"features": features, "logits": self.head(features)}


def dictionary() -> nn.Module:
    """A dictionary of outputs."""
    torch.manual_seed(0)
    return _Dictionary()


CASES = (
    Case("two_inputs", f"{_HERE}:two_inputs", f"{_HERE}:images_with_facts"),
    Case("dictionary", f"{_HERE}:dictionary", f"{_TASKS}:images"),
)
