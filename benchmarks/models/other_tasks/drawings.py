"""Embeddings: the nearest drawing in a gallery is of the same character (retrieval@1). Omniglot.

The gallery holds, as the dense network embeds them, five drawings each of 200 background characters and of 50 that no
training saw; the board is given other drawings of these 50.
"""

import sys

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.models import omniglot
from benchmarks.models.other_tasks.trained import OnProgress, trained
from toolkit.objectives import Embedding
from toolkit.tasks import Examples, Task

_STEPS, _CLASSES, _WIDTH = 3000, 964, 64
_KNOWN, _NEW, _STORED, _DRAWINGS = 200, 50, 5, 20
_SHARPNESS = 16.0  # of cosines, when training


class Embedder(nn.Module):
    """(N, 1, 28, 28) -> (N, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = omniglot.Conv4()
        self.projection = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Not normalised: whoever compares does that."""
        return self.projection(self.features(x))


class _Trainee(nn.Module):
    """With a direction for each training class (NormFace, Wang et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedder = Embedder()
        self.directions = nn.Parameter(torch.randn(_CLASSES, _WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _SHARPNESS * F.normalize(self.embedder(x)) @ F.normalize(self.directions).T


def model(on_progress: OnProgress = None) -> nn.Module:
    """Trained to tell 964 background characters."""
    loss = lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none")  # noqa: E731
    whole = trained(sys.modules[__name__], _Trainee, omniglot.background, loss, _STEPS, on_progress)
    assert isinstance(whole, _Trainee)
    return whole.embedder


def task(shots: int, seed: int) -> Task:
    """`shots` drawings of each new character to learn from."""
    known, new = (
        _by_character(omniglot.background(), _KNOWN, 0, 0),
        _by_character(omniglot.evaluation(), _NEW, _KNOWN, seed),
    )
    stored = [_drawings(part, 0, _STORED) for part in (known, new)]
    support, query = _drawings(new, _STORED, _STORED + shots), _drawings(new, _STORED + shots, _DRAWINGS)
    general, tests = _drawings(known, _STORED, 12), _drawings(known, 12, _DRAWINGS)
    return Task("drawings", (), support, query, general, tests, _objective(stored))


def _objective(stored: list[Examples]) -> Embedding:
    embedder = model()
    with torch.no_grad():
        vectors = torch.cat([embedder(*part.x) for part in stored])
    return Embedding.of(vectors, torch.cat([part.y for part in stored]))


def _by_character(examples: Examples, count: int, first: int, seed: int) -> tuple[torch.Tensor, int]:
    """Drawings (count, 20, 1, 28, 28) of that many characters, labelled from `first` on."""
    [x] = examples.x
    each = x[torch.argsort(examples.y, stable=True)].unflatten(0, (-1, _DRAWINGS))
    drawn = torch.randperm(len(each), generator=torch.Generator().manual_seed(seed))[:count]
    return each[drawn], first


def _drawings(part: tuple[torch.Tensor, int], start: int, stop: int) -> Examples:
    each, first = part
    labels = torch.arange(first, first + len(each)).repeat_interleave(stop - start)
    return Examples(each[:, start:stop].flatten(0, 1), labels)
