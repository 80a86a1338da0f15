"""Clipping: which values of a tensor an int8 program tells apart, by what examples gave; those beyond are clipped.

"minmax" is the extremes over all examples. "percentile" leaves out 1e-4 of the values of each, and then a twentieth of
the examples at either end, one at least of five: so many may be wild. "entropy" clips within those where a histogram,
told in as many steps as int8 has, loses the least information (Migacz 2017, "8-bit inference with TensorRT").
"""

import numpy as np
import torch

from toolkit.runtimes.arithmetic import Ranges

_OUTSIDE = 1e-4
_WILD = 20
_FEW = 5
_BINS, _STRIDE = 2048, 16
_STEPS = 255


def extremes(rows: torch.Tensor, ranges: Ranges) -> torch.Tensor:
    """(N, values) -> (N, 2): lowest and highest of each example that count."""
    outside = 0 if ranges == "minmax" else int(_OUTSIDE * rows.shape[1])
    if outside == 0:
        return torch.stack([rows.amin(1), rows.amax(1)], 1)
    # A few extremes are found many times as fast as a place among all values.
    lowest, highest = (rows.topk(1 + outside, 1, largest=largest).values for largest in (False, True))
    return torch.stack([lowest[:, -1], highest[:, -1]], 1)


def limits(found: torch.Tensor, ranges: Ranges) -> torch.Tensor:
    """(N, 2) -> (2,): lowest and highest over all examples that count."""
    out = 0 if ranges == "minmax" else wild(len(found))
    ordered = found.sort(0).values
    return torch.stack([ordered[out, 0], ordered[len(found) - 1 - out, 1]])


def wild(examples: int) -> int:
    """How many of so many may be wild."""
    return min(-(-examples // _WILD), examples // _FEW)


def histogram(x: torch.Tensor, within: torch.Tensor) -> torch.Tensor:
    """How many values of `x` are how far from zero, (2048,), up to the farther of the two limits (2,) `within`."""
    farthest = float(within.abs().max())
    if farthest == 0:
        return torch.zeros(_BINS)
    return torch.histc(x.float().abs().clamp_max(farthest), _BINS, 0.0, farthest)


def least_information_lost(counts: torch.Tensor, within: torch.Tensor) -> torch.Tensor:
    """(2048,) of `histogram`, (2,) -> (2,): the same limits or narrower ones, as far from zero on both sides."""
    seen = counts.double().numpy().copy()
    seen[0] = seen[1]  # the zeros that a ReLU makes are told exactly whatever the limits
    if not seen.any():
        return within
    low, high = within.tolist()
    steps = _STEPS if low >= 0 or high <= 0 else _STEPS // 2 + 1
    candidates = range(_BINS, steps, -_STRIDE)
    kept = min(candidates, key=lambda bins: _lost(seen, bins, steps))
    farthest = float(within.abs().max()) * kept / _BINS
    return within.clamp(-farthest, farthest)


def _lost(seen: np.ndarray, bins: int, steps: int) -> float:
    """Divergence, in nats, of the clipped histogram told in that many steps from what it was."""
    inside = seen[:bins]
    clipped = inside.copy()
    clipped[-1] += seen[bins:].sum()
    starts = -(-np.arange(steps) * bins // steps)
    sizes = np.diff([*starts, bins])
    filled = np.add.reduceat(inside > 0, starts, dtype=np.float64)
    each = np.add.reduceat(inside, starts) / np.maximum(filled, 1)
    told = np.where(inside > 0, np.repeat(each, sizes), 0.0)
    told = np.maximum(told / told.sum(), 1e-12) if told.any() else np.full(bins, 1 / bins)
    share = clipped / clipped.sum()
    known = share > 0
    return float((share[known] * np.log(share[known] / told[known])).sum())
