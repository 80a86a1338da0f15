"""Few-shot episodes drawn from labelled examples: N classes, K examples of each to learn from, others to be judged on.

Source: Vinyals et al. 2016, section 4.1 (N-way K-shot episodes).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from toolkit.errors import BadInput
from toolkit.tasks.task import Examples, Task


@dataclass(frozen=True)
class Episode:
    """One draw, as indices into the examples: `classes` (ways,), `support` (ways, shots), `query` (ways, queries)."""

    classes: torch.Tensor
    support: torch.Tensor
    query: torch.Tensor

    @property
    def labels(self) -> torch.Tensor:
        """The answer to each query, row by row: (ways * queries,)."""
        return torch.arange(len(self.query)).repeat_interleave(self.query.shape[1])


def draw_episodes(
    y: torch.Tensor, *, ways: int, shots: int, queries: int, seed: int, where: str = "examples"
) -> Iterator[Episode]:
    """Episodes without end from labels `y` (N,); the same seed draws the same ones.

    Classes with fewer than `shots + queries` examples are never drawn. Raises BadInput at once if fewer than `ways`
    classes are left, or if the numbers make no task.
    """
    if ways < 2 or shots < 1 or queries < 1:
        raise BadInput(
            f"{ways}-way {shots}-shot with {queries} queries is no task",
            where=where,
            next="Ask for at least two ways, one shot and one query.",
        )
    labels, counts = torch.unique(y, return_counts=True)
    usable = labels[counts >= shots + queries]
    if len(usable) < ways:
        most = int(counts.max()) if len(counts) else 0
        raise BadInput(
            f"{ways}-way {shots}-shot with {queries} queries needs {ways} classes of {shots + queries} examples; "
            f"{len(usable)} of its {len(labels)} classes are that large, the largest holds {most}",
            where=where,
            next="Ask for fewer ways or shots, or add examples.",
        )
    members = {int(label): torch.nonzero(y == label)[:, 0] for label in usable}
    return _draw(usable, members, ways, shots, queries, torch.Generator().manual_seed(seed))


def episode_task(examples: Examples, episode: Episode, name: str) -> Task:
    """The episode as a task of its own, its classes named by their labels."""
    support = torch.arange(len(episode.support)).repeat_interleave(episode.support.shape[1])
    return Task(
        name,
        tuple(str(int(label)) for label in episode.classes),
        Examples(examples.x[episode.support.flatten()], support),
        Examples(examples.x[episode.query.flatten()], episode.labels),
    )


def _draw(
    usable: torch.Tensor,
    members: dict[int, torch.Tensor],
    ways: int,
    shots: int,
    queries: int,
    generator: torch.Generator,
) -> Iterator[Episode]:
    while True:
        classes = usable[torch.randperm(len(usable), generator=generator)[:ways]]
        rows = torch.stack(
            [
                members[int(label)][torch.randperm(len(members[int(label)]), generator=generator)[: shots + queries]]
                for label in classes
            ]
        )
        yield Episode(classes, rows[:, :shots], rows[:, shots:])
