"""Quantise what fills an int8 hole: whole numbers of -127..127, with a step for each output channel."""

import numpy as np

_MOST = 127  # -128 stays unused, so that a weight and its negative have the same size
_SMALLEST = np.finfo(np.float32).tiny


def quantise(name: str, weight: np.ndarray) -> "dict[str, np.ndarray]":
    """`NAME.quantised` (int8, like the weight) and `NAME.scale` (float32, one for each output channel: its first axis).

    The host and every board compute the same bits: a largest value, one division and one rounding (to even).
    """
    rows = np.ascontiguousarray(weight, np.float32).reshape(len(weight), -1)
    scale = np.maximum(np.abs(rows).max(axis=1) / np.float32(_MOST), _SMALLEST)
    steps = np.clip(np.rint(rows / scale[:, None]), -_MOST, _MOST)
    return {name + ".quantised": steps.astype(np.int8).reshape(weight.shape), name + ".scale": scale}
