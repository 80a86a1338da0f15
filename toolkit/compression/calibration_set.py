"""CalibrationSet: the examples that a gain curve may be drawn from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from toolkit.inputs import Inputs
from toolkit.objectives import CLASSIFICATION, Objective
from toolkit.tasks import Examples

# Activations of one batch are held until its gradients are known: of a ViT-Base, 90 MB an example.
# Of large inputs few at a time, as their activations are held for a backward pass; of small ones more, since what takes
# time is then to read the weights.
_VALUES, _FEWEST, _MOST = 2**17, 8, 64

Head = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Labelled:
    """Examples, and the head that reads features (N, ...) of theirs as outputs (N, ...)."""

    examples: Examples
    head: Head


@dataclass(frozen=True)
class CalibrationSet:
    """Examples of the task and, where there are any, of the domain that the model was pretrained on."""

    task: Labelled
    general: Labelled | None = None
    objective: Objective = CLASSIFICATION

    def batches(self) -> Iterator[tuple[Inputs, Head]]:
        """All of it: inputs a few at a time, each with its head; the general ones first."""
        for part in (self.general, self.task):
            if part is not None:
                yield from in_batches(part)


def in_batches(part: Labelled) -> Iterator[tuple[Inputs, Head]]:
    """Inputs a few at a time, each batch with the head."""
    each = max(1, sum(each[:1].numel() for each in part.examples.x))
    for x in part.examples.x.split(min(max(_VALUES // each, _FEWEST), _MOST)):
        yield x, part.head
