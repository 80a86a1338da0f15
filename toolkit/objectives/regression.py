"""Regression: values, each in the unit of its own spread."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Regression:
    """Outputs and targets are float32 (N, values); `scales` holds the deviation of each value, positive.

    The loss is that of a Gaussian with these deviations, less its constant, so that it is in nats as others are. The
    score's mean is 1 less the share of the variance that is missed (R^2), where the deviations are the targets' own.
    """

    scales: tuple[float, ...]
    measure: str = "R²"

    @staticmethod
    def of(targets: torch.Tensor) -> Regression:
        """With the deviations of targets (N, values); 1 for a value that never differs."""
        spread = targets.double().std(0, correction=0)
        return Regression(tuple(float(each) if each > 0 else 1.0 for each in spread))

    def wrong_with(self, outputs: torch.Size, targets: torch.Tensor) -> str | None:
        """See `Objective`."""
        count = len(self.scales)
        if len(outputs) != 2 or outputs[1] != count:
            return f"the model gives {tuple(outputs[1:])} an example, {count} value(s) are expected"
        if targets.dtype != torch.float32 or tuple(targets.shape[1:]) != (count,):
            return f"targets are {targets.dtype} {tuple(targets.shape)}, torch.float32 (N, {count}) is expected"
        return None if bool(torch.isfinite(targets).all()) else "targets hold NaN or infinity"

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Half the squared error in deviations, (N,): the sum over values."""
        return 0.5 * self._squares(outputs, targets).sum(-1)

    def score(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """1 less the squared error in deviations, the mean over values."""
        return 1 - self._squares(outputs, targets).mean(-1)

    def judgement(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss as it is."""
        return self.loss(outputs, targets)[:, None]

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """The loss against the teacher's values, which a temperature does not soften."""
        return self.loss(student, teacher)

    def drawn_loss(self, outputs: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
        """Of values drawn around the outputs, with their deviations."""
        noise = torch.randn(outputs.shape, generator=generator) * torch.tensor(self.scales)
        return self.loss(outputs, outputs.detach() + noise)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        """The outputs themselves."""
        return outputs

    def _squares(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return ((outputs - targets) / torch.tensor(self.scales)) ** 2
