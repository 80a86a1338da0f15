"""Gain curves: what each layer's components are worth to the task, in one unit for all layers."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from toolkit.choice import DENSE, Choice
from toolkit.compression.spectrum import Spectrum


@dataclass(frozen=True)
class GainCurve:
    """Estimated loss (nats an example) that one part saves over being removed, by choice and when left dense.

    `energy` is what knows nothing of the task: the share of the weight's squared singular values that a choice keeps.
    """

    part: str
    by_choice: dict[Choice, float]
    dense: float
    energy: dict[Choice, float] = field(default_factory=dict)

    def of(self, choice: Choice) -> float:
        """The gain of that choice."""
        return self.dense if choice == DENSE else self.by_choice[choice]


def gain_curve(layer: str, weight: torch.Tensor, spectrum: Spectrum, choices: Iterable[Choice]) -> GainCurve:
    """The curve of one layer, with that weight (m, n), at those ranks."""
    sizes = {choice: choice.size for choice in choices if choice.size is not None}
    w = weight.double()
    squares = torch.linalg.eigvalsh(w @ w.T if len(w) < w.shape[1] else w.T @ w).flip(0).clamp_min(0)
    total = float(squares.sum()) or 1.0
    return GainCurve(
        layer,
        {choice: spectrum.gain(size) for choice, size in sizes.items()},
        spectrum.removal,
        {choice: float(squares[:size].sum()) / total for choice, size in sizes.items()},
    )
