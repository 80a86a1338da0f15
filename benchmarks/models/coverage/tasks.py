"""Few-shot tasks whose classes can be told apart: a pattern of its own for each class, under noise."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from toolkit.tasks import Examples, Task

_NAMES = ("a", "b", "c")
_QUERIES = 20
# What the classes are, whatever examples of them are drawn.
_PATTERNS = 7


def images(shots: int, seed: int, channels: int = 3, size: int = 32) -> Task:
    """Smooth patterns (channels, size, size) in 0..1."""
    coarse = torch.rand(len(_NAMES), channels, 4, 4, generator=_generator(_PATTERNS))
    means = F.interpolate(coarse, size=(size, size), mode="bilinear")
    return classes("patterns", shots, seed, lambda y, noise: (means[y] + 0.2 * noise(means[y].shape)).clamp(0, 1))


def texts(shots: int, seed: int, tokens: int = 16) -> Task:
    """Token ids of 2..63, half of them of the class's own twenty; 0 pads the last quarter of every other text."""

    def draw(y: torch.Tensor, noise: Callable[[tuple[int, ...]], torch.Tensor]) -> torch.Tensor:
        even, own = (noise((len(y), tokens)).erf().add(1).div(2).clamp(0, 0.999) for _ in range(2))
        ids = torch.where(noise((len(y), tokens)) > 0, 2 + (62 * even).long(), 2 + 20 * y[:, None] + (20 * own).long())
        ids[::2, -tokens // 4 :] = 0
        return ids

    return classes("topics", shots, seed, draw)


def recordings(shots: int, seed: int, samples: int = 1600) -> Task:
    """Tones (1, samples) of a pitch for each class, at 8 kHz."""
    time = torch.arange(samples) / 8000
    pitches = torch.tensor([200.0, 500.0, 1100.0])

    def draw(y: torch.Tensor, noise: Callable[[tuple[int, ...]], torch.Tensor]) -> torch.Tensor:
        phase = noise((len(y), 1))
        tone = torch.sin(2 * math.pi * pitches[y, None] * time + phase)
        return (0.4 * tone + 0.1 * noise(tuple(tone.shape)))[:, None]

    return classes("tones", shots, seed, draw)


def series(shots: int, seed: int, channels: int = 6, steps: int = 64) -> Task:
    """Curves (channels, steps), as of a sensor."""
    coarse = torch.randn(len(_NAMES), channels, 8, generator=_generator(_PATTERNS))
    means = F.interpolate(coarse, size=steps, mode="linear")
    return classes("gestures", shots, seed, lambda y, noise: means[y] + 0.5 * noise(tuple(means[y].shape)))


def rows(shots: int, seed: int, columns: int = 24) -> Task:
    """Numbers (columns)."""
    means = torch.randn(len(_NAMES), columns, generator=_generator(_PATTERNS))
    return classes("rows", shots, seed, lambda y, noise: means[y] + 0.7 * noise(tuple(means[y].shape)))


def classes(
    name: str, shots: int, seed: int, draw: Callable[[torch.Tensor, Callable[..., torch.Tensor]], object]
) -> Task:
    """A task of what `draw(labels, noise)` makes of labels (N,): inputs (N, ...), or several by name."""
    generator = _generator(seed)

    def examples(count: int) -> Examples:
        y = torch.arange(len(_NAMES)).repeat_interleave(count)
        return Examples(draw(y, lambda shape: torch.randn(shape, generator=generator)), y)

    return Task(name, _NAMES, examples(shots), examples(_QUERIES))


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
