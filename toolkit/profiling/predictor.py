"""Predict what a layer that was never timed takes, from those that were: a Gaussian process with its uncertainty.

Features are logarithms of what a kernel does: multiplications, values read and written, weights (nn-Meter, Zhang et
al. 2021, section 4.2, uses the same for its regression trees). The process gives an uncertainty to plan with, which
trees do not (Rasmussen and Williams 2006, ch. 2). Of layers no rank of which was timed it is too sure, as its length
scales were fitted without them: there its uncertainty is stretched to what leaving layers out shows.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property
from math import log, prod

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from toolkit.profiling.measurement import Measurement
from toolkit.profiling.signature import Signature, parse_signature
from toolkit.runtimes.arithmetic import Arithmetic

ROWS_AT_LEAST = 8
_ROWS_AT_MOST = 400  # fitting takes the cube of this
_FOLDS = 5
_USUAL_STRETCH = 3.0  # where no layer can be left out; 2 to 5 were seen on profiles of several layers
_KINDS = ("linear", "conv 1x1", "conv kxk")


@dataclass(frozen=True)
class Predicted:
    """Median milliseconds of one layer, and the standard deviation of the prediction as a share of it."""

    ms: float
    relative_std: float


@dataclass(frozen=True)
class Predictor:
    """Fitted on the rows of one profile: features `x` (rows, features) and logarithms of milliseconds `y` (rows,)."""

    process: Pipeline
    x: np.ndarray
    y: np.ndarray
    families: tuple[tuple[str, Arithmetic], ...]

    @cached_property
    def stretch(self) -> float:
        """By how much its standard deviation of a layer that it never saw is too small; five more fits tell."""
        seen = list(dict.fromkeys(self.families))
        return _stretch(self.x, self.y, np.array([seen.index(each) for each in self.families]))

    def predict(self, signatures: list[str]) -> list[Predicted]:
        """What each takes. Raises ValueError for a text that is no layer's signature."""
        if not signatures:
            return []
        layers = [_parsed(text) for text in signatures]
        mean, std = self.process.predict(np.array([_features(layer) for layer in layers]), return_std=True)
        known = set(self.families)
        std *= [1.0 if _family(layer) in known else self.stretch for layer in layers]
        return [Predicted(float(np.exp(m)), float(s)) for m, s in zip(mean, std, strict=True)]


def fit_predictor(rows: dict[str, Measurement]) -> Predictor | None:
    """A predictor from a profile's rows; None if too few layers were timed to learn from."""
    layers = {text: row for text, row in rows.items() if parse_signature(text)}
    if len(layers) < ROWS_AT_LEAST:
        return None
    texts = list(layers)
    if len(texts) > _ROWS_AT_MOST:
        texts = [texts[i] for i in np.linspace(0, len(texts) - 1, _ROWS_AT_MOST).round().astype(int)]
    parsed = [_parsed(text) for text in texts]
    x, y = np.array([_features(layer) for layer in parsed]), np.log([layers[text].median_ms for text in texts])
    return Predictor(_fitted(x, y), x, y, tuple(map(_family, parsed)))


def _stretch(x: np.ndarray, y: np.ndarray, families: np.ndarray) -> float:
    """How many of its standard deviations a process is wrong about layers it never saw, root mean square."""
    folds = min(_FOLDS, len(set(families)))
    if folds < 2:
        return _USUAL_STRETCH
    squares: list[float] = []
    for seen, unseen in GroupKFold(folds).split(x, groups=families):
        mean, std = _fitted(x[seen], y[seen]).predict(x[unseen], return_std=True)
        squares += list(((mean - y[unseen]) / std) ** 2)
    return max(1.0, float(np.sqrt(np.mean(squares))))


def _fitted(x: np.ndarray, y: np.ndarray) -> Pipeline:
    width = x.shape[1]
    kernel = (
        ConstantKernel(1.0) * RBF(np.full(width, 3.0), (0.1, 1e3))
        + ConstantKernel(1.0) * DotProduct()
        + WhiteKernel(1e-3, (1e-7, 1e-1))
    )
    process = make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=0))
    # Its matrices are small: more threads, which spin between two products, took three times as long.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound is a feature without use
        process.fit(x, y)
    return process


def _family(layer: Signature) -> tuple[str, Arithmetic]:
    """What ranks lie on one curve of."""
    return layer.family, layer.arithmetic


def _parsed(text: str) -> Signature:
    found = parse_signature(text)
    if found is None:
        raise ValueError(f"not a layer's signature: {text}")
    return found


def _features(layer: Signature) -> list[float]:
    taps, positions = prod(layer.kernel) / layer.groups, layer.output_positions  # of one input for one output
    first = layer.rank or layer.outputs  # channels after the first matrix
    second = layer.rank * layer.outputs if layer.rank else 0
    weights = layer.inputs * taps * first + second
    return [
        log(positions * layer.inputs * taps * first),
        log(1 + positions * second),
        log(layer.input_positions * layer.inputs),
        log(positions * first),
        log(positions * layer.outputs),
        log(weights),
        log(prod(layer.kernel)),
        *(float(layer.kind == kind) for kind in _KINDS),
        float(layer.rank is not None),
        *(float(layer.arithmetic.precision == precision) for precision in ("fp16", "int8")),
    ]
