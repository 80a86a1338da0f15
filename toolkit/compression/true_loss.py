"""Gain curves corrected by what compact layers truly cost.

The estimate of a gain is a second-order one: far from the dense weight it may be wrong by an order of magnitude, and by
another in another layer. So the true loss is measured with one layer compact at a time, at a few of its ranks, and a
monotone map from estimated to true loss is drawn through them.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from sklearn.isotonic import IsotonicRegression
from torch import nn

from toolkit.compression.compress import Spectra, compress
from toolkit.compression.gains import GainCurve

Losses = dict[int, float]
Recall = Callable[[str, int, Callable[[], float]], float]


def ranks_to_measure(ranks: tuple[int, ...]) -> tuple[int, ...]:
    """The lowest, a middle and the highest of a layer's ranks."""
    ordered = sorted(ranks)
    return tuple(dict.fromkeys(ordered[place] for place in (0, len(ordered) // 2, -1))) if ordered else ()


@torch.no_grad()
def measure_losses(
    model: nn.Module,
    spectra: Spectra,
    ranks: dict[str, tuple[int, ...]],
    loss: Callable[[nn.Module], float],
    on_progress: Callable[[int, int], None],
    recall: Recall = lambda layer, rank, measure: measure(),
) -> dict[str, Losses]:
    """`loss(model with one layer compact, or one group of channels cut)` by its name and rank; nothing is trained.

    `recall(layer, rank, measure)` may know a loss already, and else measures it.
    """
    total, done = sum(map(len, ranks.values())), 0
    found: dict[str, Losses] = {layer: {} for layer in ranks}
    for layer, measured in ranks.items():
        for rank in measured:
            found[layer][rank] = recall(layer, rank, partial(_measured, model, spectra, layer, rank, loss))
            done += 1
            on_progress(done, total)
    return found


def _measured(model: nn.Module, spectra: Spectra, layer: str, rank: int, loss: Callable[[nn.Module], float]) -> float:
    return loss(compress(model, spectra, {layer: rank}))


def corrected_gains(curve: GainCurve, losses: Losses) -> GainCurve:
    """The curve whose losses meet the measured ones, and never rise with rank.

    Between measured ranks the map is a monotone cubic in logarithms; beyond them it is a proportion.
    """
    estimated = {rank: curve.dense - curve.of(rank) for rank in losses}
    floor = 1e-12 * max(curve.dense, 1e-30)
    ordered = sorted(losses, key=lambda rank: estimated[rank])
    before = np.log(np.maximum([estimated[rank] for rank in ordered], floor))
    after = np.log(np.maximum([losses[rank] for rank in ordered], 1e-9))
    after = IsotonicRegression().fit_transform(before, after)
    # Estimates that differ in their last digits are one place: a slope between them is noise, or infinite.
    places, first = np.unique(before.round(9), return_index=True)
    values = after[first]

    def true_loss(estimate: float) -> float:
        at = float(np.log(max(estimate, floor)))
        if at <= places[0]:
            return float(np.exp(at - places[0] + values[0]))
        if at >= places[-1]:
            return float(np.exp(at - places[-1] + values[-1]))
        return float(np.exp(PchipInterpolator(places, values)(at)))

    removed = true_loss(curve.dense)
    by_rank = {rank: removed - true_loss(curve.dense - gain) for rank, gain in curve.by_rank.items()}
    return replace(curve, by_rank=by_rank, dense=removed)
