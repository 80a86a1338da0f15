"""What the `y` of a file asks for: classes, values, many labels, or labels of places."""

from dataclasses import dataclass

import numpy as np
import torch

from toolkit.errors import BadInput
from toolkit.objectives import CLASSIFICATION, Labelling, MultiLabel, Objective, Regression

_SAVE = "numpy.savez(x=..., y=...)"


@dataclass(frozen=True)
class Targets:
    """`y` as the objective takes it: (N,) or more, int64 or float32. `classes` are names, of classes and labels."""

    y: np.ndarray
    objective: Objective
    classes: tuple[str, ...] = ()


def read_targets(y: np.ndarray, where: str) -> Targets:
    """Labels (N,) are integers or names; floats are values, rows of zeros and ones many labels, integers (N, H, W) are
    labels of pixels.

    Raises BadInput for what could be two of these, or is none.
    """
    if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind != "f":
        y = y[:, 0]
    if y.ndim == 1 and y.dtype.kind in "biuU":
        names, labels = np.unique(y, return_inverse=True)
        return Targets(labels.astype(np.int64), CLASSIFICATION, tuple(map(str, names)))
    if y.ndim == 2 and y.dtype.kind in "biuf" and y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all()):
        if bool((y.sum(1) == 1).all()):
            raise BadInput("y has one 1 in every row", where=where, next="Of one-hot labels save y.argmax(1).")
        return Targets(y.astype(np.float32), MultiLabel(), tuple(map(str, range(y.shape[1]))))
    if y.ndim in (1, 2) and y.dtype.kind == "f":
        return _values(y, where)
    if y.ndim > 2 and y.dtype.kind in "biu":
        return Targets(y.astype(np.int64), Labelling(), tuple(map(str, np.unique(y[y >= 0]))))
    raise BadInput(
        f"y is {y.dtype} {y.shape}; expected labels (N,), values (N, K), zeros and ones (N, K) or labels (N, H, W)",
        where=where,
        next=f"Save it so, with {_SAVE}.",
    )


def _values(y: np.ndarray, where: str) -> Targets:
    if y.ndim == 1 and bool((y == np.round(y)).all()):
        raise BadInput(
            f"y is {y.dtype} and holds whole numbers alone",
            where=where,
            next="If they are classes, save y.astype(int); if they are values, y[:, None].",
        )
    if not bool(np.isfinite(y).all()):
        raise BadInput("y holds NaN or infinity", where=where, next="Leave these examples out.")
    values = np.ascontiguousarray(y.reshape(len(y), -1), np.float32)
    return Targets(values, Regression.of(torch.from_numpy(values)))
