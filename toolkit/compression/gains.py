"""Gain curves: what each layer's components are worth to the task, in one unit for all layers."""

from dataclasses import dataclass

from toolkit.compression.jactus import Spectrum


@dataclass(frozen=True)
class GainCurve:
    """Estimated loss (nats an example) that one layer saves over being removed, by rank kept and when left dense."""

    layer: str
    by_rank: dict[int, float]
    dense: float

    def of(self, rank: int | None) -> float:
        """The gain at that rank; None is dense."""
        return self.dense if rank is None else self.by_rank[rank]


def gain_curve(layer: str, spectrum: Spectrum, ranks: tuple[int, ...]) -> GainCurve:
    """The curve of one layer at its candidate ranks."""
    return GainCurve(layer, {rank: spectrum.gain(rank) for rank in ranks}, spectrum.removal)
