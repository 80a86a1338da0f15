"""What one layer takes under one choice: as measured; between measured ranks, interpolated; else predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.interpolate import PchipInterpolator
from sklearn.isotonic import IsotonicRegression

from toolkit.profiling.measurement import Measurement
from toolkit.profiling.predictor import Predictor
from toolkit.profiling.signature import Signature, parse_signature

Source = Literal["measured", "interpolated", "predicted", "estimate"]


@dataclass(frozen=True)
class LayerTime:
    """Median milliseconds, the standard deviation of what is not known of it, and where it comes from."""

    ms: float
    std_ms: float
    source: Source


def layer_time(rows: Mapping[str, Measurement], predictor: Predictor | None, layer: Signature) -> LayerTime | None:
    """The best that those rows say of the layer; None if they say nothing."""
    if (row := rows.get(str(layer))) is not None:
        return LayerTime(row.median_ms, 0.0, "estimate" if "estimate" in row.flags else "measured")
    guesses = [_interpolated(rows, layer), _predicted(predictor, layer)]
    between, guess = guesses
    if between and guess and guess.std_ms < between.std_ms:
        # The bracket is certain and wide, the process has seen the neighbours: take the curve, believe the narrower.
        return replace(between, std_ms=guess.std_ms)
    return between or guess


def _interpolated(rows: Mapping[str, Measurement], layer: Signature) -> LayerTime | None:
    """On the monotone curve (Fritsch and Carlson 1980) through the measured ranks; None outside them.

    More components never take less time: what is between two measured ranks lies between their times.
    """
    if layer.rank is None:
        return None
    known = sorted(
        (found.rank, row.median_ms)
        for text, row in rows.items()
        if text.startswith(f"{layer.family}:")
        and (found := parse_signature(text))
        and found.rank is not None
        and found.arithmetic == layer.arithmetic
    )
    ranks = [rank for rank, _ in known]
    if len(ranks) < 2 or not ranks[0] < layer.rank < ranks[-1]:
        return None
    rising = IsotonicRegression().fit_transform(ranks, [ms for _, ms in known])
    ms = float(PchipInterpolator(ranks, rising)(layer.rank))
    above = int(np.searchsorted(ranks, layer.rank))
    spread = float(rising[above] - rising[above - 1]) / 12**0.5  # anywhere between the two is as likely
    return LayerTime(ms, spread, "interpolated")


def _predicted(predictor: Predictor | None, layer: Signature) -> LayerTime | None:
    if predictor is None:
        return None
    [found] = predictor.predict([str(layer)])
    return LayerTime(found.ms, found.ms * found.relative_std, "predicted")
