"""Embedding: vectors to search with, judged by what is nearest in a gallery."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from toolkit.objectives.places import members

# Of cosines, as in supervised contrastive learning (Khosla et al. 2020, section 4).
_TEMPERATURE = 0.1
# Beside a logarithm of a probability this is none at all, and no runtime makes NaN of it, as it may of an infinity.
_NONE = -1e4


@dataclass(frozen=True)
class Embedding:
    """Outputs are vectors (N, D), targets the labels (N,) of what they show; labels are those of the gallery.

    The `gallery` is what the dense model made of it, once: where vectors have been stored, those of a smaller model
    must find what is there (Shen et al. 2020, "Towards backward-compatible representation learning").
    """

    gallery: tuple[tuple[float, ...], ...]
    labels: tuple[int, ...]
    measure: str = "retrieval@1"

    @staticmethod
    def of(vectors: torch.Tensor, labels: torch.Tensor) -> Embedding:
        """With a gallery of vectors (A, D) of those labels (A,)."""
        return Embedding(tuple(map(tuple, _directions(vectors.detach()).tolist())), tuple(labels.tolist()))

    def wrong_with(self, outputs: torch.Size, targets: torch.Tensor) -> str | None:
        """See `Objective`."""
        if len(outputs) != 2 or outputs[1] != len(self.gallery[0]):
            return (
                f"the model gives {tuple(outputs[1:])} an example, the gallery holds vectors of {len(self.gallery[0])}"
            )
        if targets.dtype != torch.int64 or targets.dim() != 1:
            return f"targets are {targets.dtype} {tuple(targets.shape)}, one label each of torch.int64 is expected"
        unknown = sorted(set(targets.tolist()) - set(self.labels))
        return f"the gallery has nothing of label {', '.join(map(str, unknown[:5]))}" if unknown else None

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """What neighbours chosen at random, nearer ones likelier, have of another label: (N,) in nats.

        That is the loss of neighbourhood components analysis (Goldberger et al. 2005) to a fixed gallery.
        """
        return self._loss(self._nearness(outputs), targets)

    def score(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """1 where the nearest of the gallery, by the angle, has the label, else 0."""
        return (self.answers(outputs) == targets).float()

    def judgement(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss as it is."""
        return self.loss(outputs, targets)[:, None]

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """1 less the cosine, in units of the loss's temperature; nothing is softened."""
        # As half a squared distance, which rounding does not make negative.
        return (_directions(student) - _directions(teacher)).square().sum(-1) / 2 / _TEMPERATURE

    def drawn_loss(self, outputs: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
        """Of the label of a neighbour drawn from the softened prediction; see `Classification`."""
        nearness = self._nearness(outputs) / temperature
        drawn = torch.multinomial(nearness.detach().softmax(-1), 1, generator=generator)[:, 0]
        return self._loss(nearness, torch.tensor(self.labels)[drawn]) * temperature

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        """The label of the nearest."""
        # A sum over the gallery, and no lookup: argmax and a comparison are what every runtime has.
        nearest = members(self._nearness(outputs).argmax(-1), len(self.labels))
        return (nearest * torch.tensor(self.labels)).sum(-1).round().long()

    def _nearness(self, outputs: torch.Tensor) -> torch.Tensor:
        """(N, A)."""
        return _directions(outputs) @ torch.tensor(self.gallery).T / _TEMPERATURE

    def _loss(self, nearness: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        alike = targets[:, None] == torch.tensor(self.labels)[None]
        return -torch.logsumexp(torch.where(alike, F.log_softmax(nearness, -1), _NONE), -1)


def _directions(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / (vectors.square().sum(-1, keepdim=True) + 1e-12).sqrt()
