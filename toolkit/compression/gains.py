"""Gain curves: what each layer's components are worth to the task, in one unit for all layers."""

from dataclasses import dataclass, field

import torch

from toolkit.compression.spectrum import Spectrum


@dataclass(frozen=True)
class GainCurve:
    """Estimated loss (nats an example) that one layer saves over being removed, by rank kept and when left dense.

    `energy` is what knows nothing of the task: the share of the weight's squared singular values that a rank keeps.
    """

    layer: str
    by_rank: dict[int, float]
    dense: float
    energy: dict[int, float] = field(default_factory=dict)

    def of(self, rank: int | None) -> float:
        """The gain at that rank; None is dense."""
        return self.dense if rank is None else self.by_rank[rank]


def gain_curve(layer: str, weight: torch.Tensor, spectrum: Spectrum, ranks: tuple[int, ...]) -> GainCurve:
    """The curve of one layer, with that weight (m, n), at its candidate ranks."""
    w = weight.double()
    squares = torch.linalg.eigvalsh(w @ w.T if len(w) < w.shape[1] else w.T @ w).flip(0).clamp_min(0)
    total = float(squares.sum()) or 1.0
    return GainCurve(
        layer,
        {rank: spectrum.gain(rank) for rank in ranks},
        spectrum.removal,
        {rank: float(squares[:rank].sum()) / total for rank in ranks},
    )
