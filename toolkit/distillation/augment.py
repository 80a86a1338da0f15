"""Vary a batch of examples: noise for any input; random shifts, crops and mirrored copies for images."""

import math
from collections.abc import Callable

import torch

from toolkit.augmentation import Augmentation

_NOISE = 0.25  # standard deviations of the data
_SHIFT = 1 / 8  # of height and width, either way: at most four pixels of 32, as is usual on CIFAR-10

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def augment_for(augmentation: Augmentation | None, x: torch.Tensor) -> Augment:
    """What varies batches drawn from `x` (N, ...); `shift`, `crop` and `mirror` take images (N, C, H, W).

    By default images are shifted and other inputs stay as they are: a mirrored digit is none, noise makes another token
    of a token, and on images it cost more than it brought.
    """
    usual: Augmentation = ("shift",) if x.dim() == 4 else ()
    chosen = usual if augmentation is None else augmentation
    spread = float(x.std()) if len(x) > 1 else 0.0
    steps: list[Augment] = []
    if "shift" in chosen:
        steps.append(_shifted)
    if "crop" in chosen:
        steps.append(_cropped)
    if "mirror" in chosen:
        steps.append(_mirrored)
    if "noise" in chosen and spread:
        steps.append(lambda batch, generator: batch + _NOISE * spread * torch.randn(batch.shape, generator=generator))

    def augment(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        for step in steps:
            batch = step(batch, generator)
        return batch

    return augment


def _shifted(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image moved on its own; what comes in repeats the edge, as no value is known to be empty."""
    for axis in (2, 3):
        places = _moved(x, axis, generator).clamp(0, x.shape[axis] - 1)
        x = x.gather(axis, places.expand_as(x))
    return x


def _cropped(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image moved on its own; what comes in is zero, as in crops of an image that was padded with zeros."""
    for axis in (2, 3):
        places = _moved(x, axis, generator)
        inside = places.clamp(0, x.shape[axis] - 1)
        x = torch.where(places == inside, x.gather(axis, inside.expand_as(x)), 0.0)
    return x


def _moved(x: torch.Tensor, axis: int, generator: torch.Generator) -> torch.Tensor:
    """Where each image's values along that axis come from, some of them outside: (N, 1, H, 1) or (N, 1, 1, W)."""
    size = x.shape[axis]
    most = math.ceil(_SHIFT * size)
    moved = torch.randint(-most, most + 1, (len(x), 1), generator=generator)
    shape = [len(x), 1, 1, 1]
    shape[axis] = size
    return (torch.arange(size) + moved).view(shape)


def _mirrored(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)
