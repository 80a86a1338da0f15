"""Recordings of one rate and one length."""

import math

import numpy as np
from scipy.signal import resample_poly

from toolkit.reading import RATES_HZ


def resampled(values: np.ndarray, rate_hz: int, wanted_hz: int) -> np.ndarray:
    """(channels, samples) at another rate, without what aliases (a polyphase filter).

    Raises ValueError for a rate that no recording has.
    """
    if rate_hz not in RATES_HZ:
        raise ValueError(f"it says {rate_hz} samples a second")
    common = math.gcd(rate_hz, wanted_hz)
    return resample_poly(values, wanted_hz // common, rate_hz // common, axis=1).astype(np.float32, copy=False)


def of_length(values: np.ndarray, samples: int) -> np.ndarray:
    """The first so many of (channels, samples), then silence."""
    kept = values[:, :samples]
    return np.pad(kept, [(0, 0), (0, samples - kept.shape[1])])
