"""Regression: by how much a photographed digit is turned, in degrees. MNIST, up to 60 degrees either way.

The task's camera is mounted askew, by 15 degrees, and its digits are others.
"""

import sys
from functools import cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.models.data import load_arrays
from benchmarks.models.other_tasks.trained import OnProgress, trained
from toolkit.objectives import Regression
from toolkit.tasks import Examples, Task

_STEPS, _TRAINING, _TESTS = 5000, 40_000, 1000
_MOST, _ASKEW = 60.0, 15.0
_OBJECTIVE = Regression((_MOST / 3**0.5,))


def network() -> nn.Module:
    """(N, 1, 28, 28) -> degrees (N, 1)."""
    widths, layers = (1, 32, 64, 96), []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * 9, 128), nn.ReLU(), nn.Linear(128, 1))


def model(on_progress: OnProgress = None) -> nn.Module:
    """Trained on MNIST's training images."""
    return trained(sys.modules[__name__], network, _training, _OBJECTIVE.loss, _STEPS, on_progress)


def task(shots: int, seed: int) -> Task:
    """`shots` digits to learn from."""
    images = load_arrays("mnist.npz")["test_images"]
    drawn = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).numpy()
    askew = _turned(images[drawn[: shots + _TESTS]], seed + 1, _ASKEW)
    tests = _turned(images[drawn[-_TESTS:]], seed + 2, 0.0)
    return Task("angle", ("degrees",), askew[:shots], askew[shots:], _training(), tests, _OBJECTIVE)


@cache
def _training() -> Examples:
    return _turned(load_arrays("mnist.npz")["train_images"][:_TRAINING], 0, 0.0)


def _turned(images: np.ndarray, seed: int, askew: float) -> Examples:
    """Images (N, 28, 28) turned by the target and, unknown to it, by the camera."""
    degrees = _MOST * (2 * torch.rand(len(images), generator=torch.Generator().manual_seed(seed)) - 1)
    turn = torch.deg2rad(degrees + askew)
    cosine, sine, none = turn.cos(), turn.sin(), torch.zeros_like(turn)
    matrices = torch.stack([torch.stack([cosine, -sine, none], 1), torch.stack([sine, cosine, none], 1)], 1)
    x = torch.from_numpy(images)[:, None].float() / 255
    grid = F.affine_grid(matrices, list(x.shape), align_corners=False)
    return Examples(F.grid_sample(x, grid, align_corners=False), degrees[:, None])
