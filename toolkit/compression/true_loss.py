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

from toolkit.choice import Choice
from toolkit.compression.compress import Spectra, compress
from toolkit.compression.gains import GainCurve

Losses = dict[Choice, float]
Recall = Callable[[str, Choice, Callable[[], float]], float]


def choices_to_measure(choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """The smallest, a middle and the largest of a layer's choices of one kind."""
    ordered = sorted(choices)
    return tuple(dict.fromkeys(ordered[place] for place in (0, len(ordered) // 2, -1))) if ordered else ()


@torch.no_grad()
def measure_losses(
    model: nn.Module,
    spectra: Spectra,
    choices: dict[str, tuple[Choice, ...]],
    loss: Callable[[nn.Module], float],
    on_progress: Callable[[int, int], None],
    recall: Recall = lambda part, choice, measure: measure(),
) -> dict[str, Losses]:
    """`loss(model with one layer compact, or one group of channels cut)` by its name and choice; nothing is trained.

    `recall(part, choice, measure)` may know a loss already, and else measures it.
    """
    total, done = sum(map(len, choices.values())), 0
    found: dict[str, Losses] = {part: {} for part in choices}
    for part, measured in choices.items():
        for choice in measured:
            found[part][choice] = recall(part, choice, partial(_measured, model, spectra, part, choice, loss))
            done += 1
            on_progress(done, total)
    return found


def _measured(
    model: nn.Module, spectra: Spectra, part: str, choice: Choice, loss: Callable[[nn.Module], float]
) -> float:
    return loss(compress(model, spectra, {part: choice}))


def corrected_gains(curve: GainCurve, losses: Losses) -> GainCurve:
    """The curve whose losses meet the measured ones, and never rise with size.

    Between measured ones the map is a monotone cubic in logarithms; beyond them it is a proportion.
    """
    estimated = {choice: curve.dense - curve.of(choice) for choice in losses}
    floor = 1e-12 * max(curve.dense, 1e-30)
    ordered = sorted(losses, key=lambda choice: estimated[choice])
    before = np.log(np.maximum([estimated[choice] for choice in ordered], floor))
    after = np.log(np.maximum([losses[choice] for choice in ordered], 1e-9))
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
    by_choice = {choice: removed - true_loss(curve.dense - gain) for choice, gain in curve.by_choice.items()}
    return replace(curve, by_choice=by_choice, dense=removed)
