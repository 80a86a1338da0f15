"""The Conv-4 prototypical network (Snell et al. 2017, section 3) on Omniglot, trained on the background classes only.

The split is Omniglot's own: 964 background characters to train on (each also rotated by 90, 180 and 270 degrees: four
classes), 659 evaluation characters of other alphabets to test on. Published figures are of an easier one, 1,200 random
characters to train on. Some minutes on one core, then cached.
"""

import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.models.data import load_arrays
from toolkit.cache import cached, digest
from toolkit.tasks import Examples

_EPISODES, _WAYS, _DRAWINGS = 1000, 30, 5
_LEARNING_RATE = 4e-3


class Conv4(nn.Module):
    """(N, 1, 28, 28) -> features (N, 64): four times 3 x 3 convolution, batch norm, 2 x 2 maximum, ReLU."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        inputs = (1, channels, channels, channels)
        self.convolutions = nn.ModuleList([nn.Conv2d(each, channels, 3, padding=1) for each in inputs])
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels) for _ in inputs])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features: a query belongs to the nearest mean of a class's support."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(F.max_pool2d(norm(convolution(x)), 2))
        return x.flatten(1)


def model(on_progress: Callable[[int, int], None] | None = None) -> Conv4:
    """The dense network, trained on first use."""
    source = inspect.getsource(sys.modules[__name__])
    folder, _ = cached("examples", f"omniglot-{digest(source)[:16]}", lambda path: _train(path, on_progress))
    dense = Conv4()
    dense.load_state_dict(load_file(folder / "model.safetensors"))
    return dense.eval()


@cache
def background() -> Examples:
    """964 characters x 20 drawings, upright: all that training and compression may see."""
    return _drawings(0)


@cache
def evaluation() -> Examples:
    """659 characters x 20 drawings that only tests see."""
    return _drawings(1)


def _drawings(split: int) -> Examples:
    """Ink is 1, paper 0; classes are numbered from 0."""
    data = load_arrays("omniglot_28.npz")
    rows = data["split"] == split
    ink = (255 - data["images"][rows][:, None]).astype(np.float32) / 255
    _, labels = np.unique(data["character"][rows], return_inverse=True)
    return Examples(torch.from_numpy(ink), torch.from_numpy(labels.astype(np.int64)))


def _train(folder: Path, on_progress: Callable[[int, int], None] | None) -> None:
    """One-shot episodes of 30 classes in which each of five drawings is the support in turn; bfloat16 where safe."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dense = Conv4().to(memory_format=torch.channels_last).train()
        examples = background()
        by_class = examples.x.tensors["x"][torch.argsort(examples.y, stable=True)].unflatten(0, (-1, 20))
        optimizer = torch.optim.Adam(dense.parameters(), lr=_LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=_EPISODES)
        for episode in range(_EPISODES):
            with torch.autocast("cpu", torch.bfloat16):
                features = dense(_episode(by_class)).float()
            loss = _one_shot_loss(features.unflatten(0, (_WAYS, _DRAWINGS)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if on_progress:
                on_progress(episode + 1, _EPISODES)
    dense = dense.to(memory_format=torch.contiguous_format)
    save_file({name: value.contiguous() for name, value in dense.state_dict().items()}, folder / "model.safetensors")


def _episode(by_class: torch.Tensor) -> torch.Tensor:
    """(ways x drawings, 1, 28, 28): some drawings of some classes, a rotated character being another class."""
    rotated = torch.randperm(4 * len(by_class))[:_WAYS]
    parts = [
        torch.rot90(by_class[index // 4, torch.randperm(20)[:_DRAWINGS]], int(index) % 4, (2, 3)) for index in rotated
    ]
    return torch.cat(parts).contiguous(memory_format=torch.channels_last)


def _one_shot_loss(features: torch.Tensor) -> torch.Tensor:
    """(ways, drawings, d) -> (): the mean over which drawing is the support; the others are queries."""
    labels = torch.arange(len(features)).repeat_interleave(_DRAWINGS - 1)
    losses = []
    for support in range(_DRAWINGS):
        queries = features[:, [each for each in range(_DRAWINGS) if each != support]].flatten(0, 1)
        losses.append(F.cross_entropy(-(torch.cdist(queries, features[:, support]) ** 2), labels))
    return torch.stack(losses).mean()
