"""Labelling: a class for every pixel (segmentation) or token (tagging)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from toolkit.objectives.places import members, softened_divergence, wrong_labels

# Places with this label count for nothing, as torch's cross_entropy has it.
IGNORED = -100


@dataclass(frozen=True)
class Labelling:
    """Outputs are logits (N, classes, *places), or (N, *places, classes) where `classes_last`; targets (N, *places).

    The score is the mean over the classes that an example or its answer has of intersection over union (IoU).
    """

    classes_last: bool = False
    measure: str = "mean IoU"

    def wrong_with(self, outputs: torch.Size, targets: torch.Tensor) -> str | None:
        """See `Objective`."""
        axis = len(outputs) - 1 if self.classes_last else 1
        if len(outputs) < 3:
            return f"the model gives {tuple(outputs[1:])} an example, logits for each of several places are expected"
        places = tuple(size for index, size in enumerate(outputs[1:], 1) if index != axis)
        if not self.classes_last and targets.shape[1:] == outputs[1:-1]:
            return f"the model gives {tuple(outputs[1:])} an example, its classes last: Labelling(classes_last=True)"
        return wrong_labels(targets, outputs[axis], places, IGNORED)

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy, (N,) in nats: the mean over places."""
        rows = F.log_softmax(self._rows(outputs), -1)
        wanted = members(targets.flatten(1), rows.shape[-1])
        return -(wanted * rows).sum(-1).sum(-1) / _counted(targets).sum(-1).clamp_min(1)

    def score(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean intersection over union, (N,)."""
        counted = _counted(targets)[..., None]
        rows = self._rows(outputs)
        given = members(rows.argmax(-1), rows.shape[-1]) * counted
        wanted = members(targets.flatten(1), rows.shape[-1])
        both = (given * wanted).sum(1)
        either = (given + wanted).sum(1) - both
        present = (either > 0).float()
        return (both / either.clamp_min(1)).sum(-1) / present.sum(-1).clamp_min(1)

    def judgement(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss as it is: of many places few are overconfident together."""
        return self.loss(outputs, targets)[:, None]

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """KL from teacher to student, softened: the mean over places."""
        return softened_divergence(self._rows(student), self._rows(teacher), temperature).mean(-1)

    def drawn_loss(self, outputs: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
        """Of labels drawn for each place from the softened prediction; see `Classification`."""
        log_p = F.log_softmax(self._rows(outputs) / temperature, -1)
        labels = torch.multinomial(log_p.detach().exp().flatten(0, 1), 1, generator=generator).view(log_p.shape[:2])
        return -log_p.gather(-1, labels[..., None])[..., 0].mean(-1) * temperature

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        """The label of the largest logit of each place."""
        return outputs.argmax(-1 if self.classes_last else 1)

    def _rows(self, outputs: torch.Tensor) -> torch.Tensor:
        """(N, places, classes)."""
        return outputs.flatten(1, -2) if self.classes_last else outputs.flatten(2).transpose(1, 2)


def _counted(targets: torch.Tensor) -> torch.Tensor:
    return (targets.flatten(1) != IGNORED).float()
