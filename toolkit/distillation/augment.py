"""Vary a batch of examples: noise for any input; random shifts, crops and mirrored copies for images."""

import math
from collections.abc import Callable

import torch

from toolkit.augmentation import Augmentation
from toolkit.inputs import Inputs

_NOISE = 0.25  # standard deviations of the data
_SHIFT = 1 / 8  # of height and width, either way: at most four pixels of 32, as is usual on CIFAR-10

Augment = Callable[[Inputs, torch.Generator], Inputs]
_Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def augment_for(augmentation: Augmentation | None, x: Inputs) -> Augment:
    """What varies batches drawn from `x`; `shift`, `crop` and `mirror` take its images, (N, C, H, W), `noise` floats.

    By default images are shifted and other inputs stay as they are: a mirrored digit is none, noise makes another token
    of a token, and on images it cost more than it brought. Images of one example move and turn together: a mask, say,
    stays where what it masks is.
    """
    usual: Augmentation = ("shift",) if x.images() else ()
    chosen = usual if augmentation is None else augmentation
    moves = [change for name, change in _MOVES.items() if name in chosen]
    spreads = {name: float(each.std()) if len(x) > 1 else 0.0 for name, each in x.floats().items()}

    def augment(batch: Inputs, generator: torch.Generator) -> Inputs:
        for change in moves:
            batch = batch.with_tensors(_alike(change, batch.images(), generator))
        if "noise" in chosen:
            batch = batch.with_tensors(_noisy(batch.floats(), spreads, generator))
        return batch

    return augment


def _alike(change: _Change, images: dict[str, torch.Tensor], generator: torch.Generator) -> dict[str, torch.Tensor]:
    """All of them changed by the same draws."""
    drawn_from, changed = generator.get_state(), {}
    for name, each in images.items():
        generator.set_state(drawn_from)
        changed[name] = change(each, generator)
    return changed


def _noisy(
    floats: dict[str, torch.Tensor], spreads: dict[str, float], generator: torch.Generator
) -> dict[str, torch.Tensor]:
    return {
        name: each + _NOISE * spreads[name] * torch.randn(each.shape, generator=generator)
        for name, each in floats.items()
        if spreads[name]
    }


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


# In the order in which they are done.
_MOVES: dict[str, _Change] = {"shift": _shifted, "crop": _cropped, "mirror": _mirrored}
