"""Segmentation: which pixels of a photographed page are ink. Omniglot's drawings, four a page, on shaded paper.

The page of the task is darker, its light falls from another side, and its characters are of other alphabets.
"""

import sys
from functools import cache

import torch
from torch import nn

from benchmarks.models import omniglot
from benchmarks.models.other_tasks.trained import OnProgress, trained
from toolkit.objectives import Labelling
from toolkit.tasks import Examples, Task

_STEPS, _PAGES, _TESTS = 400, 3000, 300


class UNet(nn.Module):
    """(N, 1, 56, 56) -> logits (N, 2, 56, 56): down twice and up twice, with what was beside it (Ronneberger 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.down1, self.down2, self.bottom = _twice(1, 16), _twice(16, 32), _twice(32, 64)
        self.grow2, self.grow1 = nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)
        self.up2, self.up1 = _twice(64, 32), _twice(32, 16)
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of paper and ink."""
        first = self.down1(x)
        second = self.down2(self.pool(first))
        x = self.up2(torch.cat([second, self.grow2(self.bottom(self.pool(second)))], 1))
        return self.head(self.up1(torch.cat([first, self.grow1(x)], 1)))


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    def once(inputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(*once(inputs), *once(outputs))


def model(on_progress: OnProgress = None) -> nn.Module:
    """Trained on pages of background characters."""
    return trained(sys.modules[__name__], UNet, _training, Labelling().loss, _STEPS, on_progress)


def task(shots: int, seed: int) -> Task:
    """`shots` pages to learn from."""
    general, pages = _training(), _pages(omniglot.evaluation(), shots + _TESTS, seed + 1, light=0.75)
    tests = _pages(omniglot.background(), _TESTS, 1, light=1.0)
    return Task("ink", ("paper", "ink"), pages[:shots], pages[shots:], general, tests, Labelling())


@cache
def _training() -> Examples:
    return _pages(omniglot.background(), _PAGES, 0, light=1.0)


def _pages(drawings: Examples, count: int, seed: int, light: float) -> Examples:
    random = torch.Generator().manual_seed(seed)
    [ink] = drawings.x
    four = ink[torch.randint(len(ink), (count, 4), generator=random)][:, :, 0]
    page = torch.cat([torch.cat([four[:, 0], four[:, 1]], 2), torch.cat([four[:, 2], four[:, 3]], 2)], 1)
    across = torch.linspace(-1, 1, page.shape[-1])
    slope = torch.randn(count, 2, 1, 1, generator=random)
    shade = light + 0.25 * (slope[:, 0] * across + slope[:, 1] * across[:, None]).tanh()
    strength = 0.2 + 0.4 * torch.rand(count, 1, 1, generator=random)
    seen = shade - strength * page + 0.15 * torch.randn(page.shape, generator=random)
    return Examples(seen[:, None], (page > 0.5).long())
