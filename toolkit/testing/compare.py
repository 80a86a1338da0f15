"""Compare a measurement with its baseline: by a rank test on a noisy clock, by a tolerance on one that counts."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from toolkit.testing.samples import Samples

# An instruction count repeats to well under this.
TOLERANCE_INSTRUCTIONS = 0.01
# What another day does to the ratio of two workloads on an unchanged machine: no test on samples can know it.
TOLERANCE_WALL = 0.05
FALSE_ALARMS = 0.01


@dataclass(frozen=True)
class Comparison:
    """`change` is relative (0.03: 3 % slower), with an interval; `how` says what it rests on."""

    verdict: Literal["slower", "faster", "unchanged"]
    change: float
    low: float
    high: float
    how: str


def compare(now: Samples, before: Samples) -> Comparison:
    """The verdict of the same clock under the same circumstances."""
    return _by_count(now, before) if now.clock == "instructions" else _by_ranks(now, before)


def _by_count(now: Samples, before: Samples) -> Comparison:
    change = now.median_ms / before.median_ms - 1
    low = min(now.release_ms) / max(before.release_ms) - 1
    high = max(now.release_ms) / min(before.release_ms) - 1
    how = (
        f"range of {len(before.release_ms)} and {len(now.release_ms)} loads; the instruction clock is allowed "
        f"{TOLERANCE_INSTRUCTIONS:.0%} on the median"
    )
    return Comparison(_verdict(change, change, TOLERANCE_INSTRUCTIONS), change, low, high, how)


def _by_ranks(now: Samples, before: Samples) -> Comparison:
    """Mann-Whitney, as its interval: Hodges and Lehmann's shift between the logarithms of the rounds' ratios."""
    shifts = np.sort(np.subtract.outer(_log_ratios(now), _log_ratios(before)).ravel())
    tail = _tail(len(now.release_ms), len(before.release_ms), FALSE_ALARMS)
    low, middle, high = (math.expm1(value) for value in (shifts[tail], np.median(shifts), shifts[-1 - tail]))
    how = (
        f"{1 - 2 * FALSE_ALARMS:.0%} interval by Mann-Whitney over {len(before.release_ms)} and "
        f"{len(now.release_ms)} rounds, each relative to {now.reference}; at most {FALSE_ALARMS:.0%} false alarms "
        f"unless the machine itself shifts by more than the {TOLERANCE_WALL:.0%} allowed"
    )
    return Comparison(_verdict(low, high, TOLERANCE_WALL), middle, low, high, how)


def _verdict(low: float, high: float, tolerance: float) -> Literal["slower", "faster", "unchanged"]:
    if low > tolerance:
        return "slower"
    return "faster" if high < -tolerance else "unchanged"


def _log_ratios(samples: Samples) -> np.ndarray:
    return np.log(np.array(samples.release_ms) / np.array(samples.reference_ms))


def _tail(m: int, n: int, alpha: float) -> int:
    """How many of the m x n sorted shifts the interval leaves out at either end: the most with P(U <= tail) <= alpha.

    Samples have so many rounds that this is never less than none.
    """
    # Arrangements of m and n samples by their U statistic are the coefficients of a Gaussian binomial.
    ways = np.zeros(m * n + 1)
    ways[0] = 1
    for i in range(1, m + 1):
        for u in range(n + i, m * n + 1)[::-1]:
            ways[u] -= ways[u - n - i]
        for u in range(i, m * n + 1):
            ways[u] += ways[u - i]
    below = np.cumsum(ways) / math.comb(m + n, m)  # P(U <= u)
    return int(np.searchsorted(below, alpha, side="right")) - 1
