"""How far this board's outputs are from the host's."""

import numpy as np

from edge_runtime.classes import NEVER


def difference(got, expected):  # type: ignore[no-untyped-def]
    """The largest difference between two arrays of one output, and what share it is of the largest expected value.

    The share is the same whatever unit the output has; what is of no class has no say in how large that is. Both are
    infinite if a value is no number. Raises ValueError for other shapes than the expected.
    """
    if got.shape != expected.shape:
        raise ValueError("the program gives {} where {} is expected".format(got.shape, expected.shape))
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    most = float(np.abs(got - expected).max())
    size = float(np.abs(expected[expected != NEVER]).max(initial=0.0))
    if not np.isfinite(most):
        return float("inf"), float("inf")
    if most == 0.0:
        return 0.0, 0.0
    return most, most / size if size else float("inf")
