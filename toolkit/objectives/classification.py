"""Classification: cross-entropy, and the share that is right."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from toolkit.objectives.places import members, softened_divergence, wrong_labels

_COLDEST, _HOTTEST, _COUNT = 0.05, 50.0, 31
_TEMPERATURES = [_COLDEST * (_HOTTEST / _COLDEST) ** (index / (_COUNT - 1)) for index in range(_COUNT)]


@dataclass(frozen=True)
class Classification:
    """Outputs are logits (N, classes), targets labels (N,)."""

    measure: str = "accuracy"

    def wrong_with(self, outputs: torch.Size, targets: torch.Tensor) -> str | None:
        """See `Objective`."""
        if len(outputs) != 2:
            return f"the model gives {tuple(outputs[1:])} an example, logits of classes are expected"
        return wrong_labels(targets, outputs[1], ())

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy, (N,) in nats."""
        return -(members(targets, outputs.shape[-1]) * F.log_softmax(outputs, -1)).sum(-1)

    def score(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """1 where the largest logit is the label's, else 0."""
        return (outputs.argmax(-1) == targets).float()

    def judgement(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(N, K) cross-entropies at K temperatures (Guo et al. 2017).

        Training on a handful of examples makes a model overconfident long before it makes it worse.
        """
        softened = F.log_softmax(outputs[:, None, :] / torch.tensor(_TEMPERATURES)[None, :, None], -1)
        return -(members(targets, outputs.shape[-1])[:, None, :] * softened).sum(-1)

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """KL from teacher to student, both softened, times T^2 (Hinton et al. 2015)."""
        return softened_divergence(student, teacher, temperature)

    def drawn_loss(self, outputs: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
        """Of labels drawn from the softened prediction: at temperature T that gives the Hessian of `divergence`."""
        log_p = F.log_softmax(outputs / temperature, -1)
        labels = torch.multinomial(log_p.detach().exp(), 1, generator=generator)[:, 0]
        # T^2 keeps gradients on the scale of the task loss, as in Hinton et al. 2015, section 2.
        return F.nll_loss(log_p, labels, reduction="none") * temperature

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        """The label of the largest logit."""
        return outputs.argmax(-1)


# What a task asks for unless it says otherwise.
CLASSIFICATION = Classification()
