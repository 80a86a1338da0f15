"""Pools of labelled 28 x 28 images that few-shot episodes are drawn from, and how prototypes do on them."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.models import omniglot, speech
from benchmarks.models.data import load_arrays
from toolkit.inputs import join
from toolkit.tasks import Episode, Examples, draw_episodes


@dataclass(frozen=True)
class Setting:
    """Episodes of one kind from one pool of examples."""

    pool: str
    ways: int
    shots: int

    def __str__(self) -> str:
        return f"{self.pool}, {self.ways}-way {self.shots}-shot"


def pool(name: str, classes: int, of_each: int) -> Examples:
    """`of_each` examples of the first so many classes of the Omniglot evaluation split, MNIST or FSDD."""
    examples = {"Omniglot": omniglot.evaluation, "MNIST": _mnist, "FSDD": _spoken}[name]()
    rows = [torch.nonzero(examples.y == label)[:of_each, 0] for label in examples.y.unique()[:classes]]
    kept = torch.cat(rows)
    return examples[kept]


def episodes_of(setting: Setting, examples: Examples, count: int, queries: int, seed: int) -> list[Episode]:
    """So many draws; the same for every method."""
    drawn = draw_episodes(
        examples.y, ways=setting.ways, shots=setting.shots, queries=queries, seed=seed, where=str(setting)
    )
    return list(islice(drawn, count))


def accuracies(features: torch.Tensor, episodes: list[Episode]) -> torch.Tensor:
    """Share of queries nearest to the mean of their own class's support, an episode: (episodes,)."""
    support = torch.stack([episode.support for episode in episodes])
    query = torch.stack([episode.query for episode in episodes])
    means = features[support].mean(2)
    answers = torch.cdist(features[query.flatten(1)], means).argmin(2)
    return (answers == episodes[0].labels).float().mean(1)


def _mnist() -> Examples:
    data = load_arrays("mnist.npz")
    images = data["test_images"].reshape(-1, 1, 28, 28).astype(np.float32) / 255
    return Examples(torch.from_numpy(images), torch.from_numpy(data["test_labels"].astype(np.int64)))


def _spoken() -> Examples:
    """The held-out speaker's log-mel spectrograms, drawn as images: shrunk, and between 0 and 1."""
    task = speech.task(shots=1)
    x, y = join([task.support.x, task.query.x]).tensors["x"], torch.cat([task.support.y, task.query.y])
    shrunk = F.interpolate(x, (28, 28), mode="area")
    low, high = shrunk.amin((1, 2, 3), keepdim=True), shrunk.amax((1, 2, 3), keepdim=True)
    return Examples((shrunk - low) / (high - low), y)
