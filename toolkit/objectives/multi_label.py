"""MultiLabel: any number of labels an example."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class MultiLabel:
    """Outputs are logits (N, labels), targets float32 zeros and ones (N, labels); the score is F1 of each example."""

    measure: str = "F1"

    def wrong_with(self, outputs: torch.Size, targets: torch.Tensor) -> str | None:
        """See `Objective`."""
        if len(outputs) != 2:
            return f"the model gives {tuple(outputs[1:])} an example, logits of labels are expected"
        if targets.dtype != torch.float32 or targets.shape[1:] != outputs[1:]:
            return f"targets are {targets.dtype} {tuple(targets.shape)}, torch.float32 (N, {outputs[1]}) is expected"
        if not bool(((targets == 0) | (targets == 1)).all()):
            return "targets are other than 0 and 1"
        return None

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy, (N,) in nats: the sum over labels."""
        return -(targets * F.logsigmoid(outputs) + (1 - targets) * F.logsigmoid(-outputs)).sum(-1)

    def score(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """F1, (N,); 1 where nothing is given and nothing wanted."""
        given = (outputs > 0).float()
        both, all_of = (given * targets).sum(-1), (given + targets).sum(-1)
        return torch.where(all_of > 0, 2 * both / all_of.clamp_min(1), torch.ones_like(all_of))

    def judgement(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss as it is."""
        return self.loss(outputs, targets)[:, None]

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """KL from teacher to student of each label, softened, times T^2; the sum over labels."""
        likely = torch.sigmoid(teacher / temperature)
        apart = likely * (F.logsigmoid(teacher / temperature) - F.logsigmoid(student / temperature))
        apart = apart + (1 - likely) * (F.logsigmoid(-teacher / temperature) - F.logsigmoid(-student / temperature))
        return apart.sum(-1) * temperature**2

    def drawn_loss(self, outputs: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
        """Of labels drawn from the softened prediction; see `Classification`."""
        softened = outputs / temperature
        return self.loss(softened, torch.bernoulli(softened.detach().sigmoid(), generator=generator)) * temperature

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        """The labels whose logit is above zero."""
        return (outputs > 0).float()
