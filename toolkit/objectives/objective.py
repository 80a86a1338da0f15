"""Objective: what outputs are trained by, shown by, and judged by."""

from typing import Protocol, runtime_checkable

import torch


class Objective(Protocol):
    """Each function takes outputs (N, ...) and, of most, targets (N, ...), and speaks of every example for itself.

    `loss`, `score` and `judgement` are traced into the programs that a board learns with: no agent knows what a class
    is. They are torch operations alone that a board's runtime has. Losses are in nats, so that those of layers compare.
    """

    @property
    def measure(self) -> str:
        """What the score is called: "accuracy"."""
        ...

    def wrong_with(self, outputs: torch.Size, targets: torch.Tensor) -> str | None:
        """What keeps targets of examples from going with outputs of that size, (N, ...); None if nothing does."""
        ...

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(N,), differentiable; less is better."""
        ...

    def score(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(N,), more is better and 1 is perfect: what people read."""
        ...

    def judgement(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(N, K): the loss under each of K calibrations of the outputs, of which the one with the least mean counts."""
        ...

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """(N,): how far a student's outputs are from its teacher's, softened where that means something."""
        ...

    def drawn_loss(self, outputs: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
        """(N,): the loss on targets drawn from what the outputs themselves predict (the true Fisher; Martens 2014)."""
        ...

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        """The targets that the outputs hold to be the likeliest, as `loss` takes them."""
        ...


@runtime_checkable
class OverAll(Protocol):
    """An objective that also measures what only all examples together have."""

    def over_all(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Measures of outputs (N, ...) and targets (N, ...), by name; more is better and 1 is perfect."""
        ...
