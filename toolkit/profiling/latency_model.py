"""LatencyModel: what a whole model takes under some choices, and how sure that is.

A layer timed alone is not the layer inside a model: runtimes fuse neighbours, convert layouts at a program's ends, keep
values in the cache. So the sum of the layers' *differences from dense* is added to the measured dense model, where what
both have in common cancels; and what then is still missed is regressed on a few measured whole models, by the kind of
layer (Bayesian linear regression, MacKay 1992; its predictive distribution is the interval). Everything is linear in
the choices, so that an allocator sees a plain cost table. What measured wholes are off by when left out, against what
was expected of them, stretches or shrinks the interval: priors are guesses, and errors of many layers cancel.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student_t
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import BayesianRidge

from toolkit.choice import DENSE, Choice, all_dense
from toolkit.compression import CostTable

# Where nothing is known yet: the spread of whole models around sums of layers, as a share, by the target's clock.
_PRIOR_NOISE = {"wall": 0.05, "instructions": 0.001}
_PRIOR_WEIGHT = 0.05
_PRIOR_STRENGTH = 1.0
_STRETCH_STRENGTH = 1.0
# Of the dense model's time.
_LEAST_UNIT = 0.1


@dataclass(frozen=True)
class Interval:
    """A predicted median and the ends of its 90 % interval, milliseconds."""

    ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True)
class LatencyModel:
    """`costs` as corrected by measured whole models; `kinds` of parts, as runtimes have kernels for them in fp32."""

    costs: CostTable
    plain: CostTable
    kinds: dict[str, str]
    dense_ms: float
    covariance: np.ndarray
    noise: float
    stretch: float
    degrees: int

    def predict(self, chosen: Mapping[str, Choice], coverage: float = 0.9) -> Interval:
        """The median of the whole model under those choices, with the interval that holds it so often."""
        ms, std = self.costs.latency_ms(chosen), self.std_ms(chosen)
        reach = float(student_t.ppf(0.5 + coverage / 2, self.degrees)) * std
        return Interval(ms, max(0.0, ms - reach), ms + reach)

    def upper_ms(self, chosen: Mapping[str, Choice], confidence: float) -> float:
        """What the median stays below with that confidence."""
        return self.costs.latency_ms(chosen) + float(student_t.ppf(confidence, self.degrees)) * self.std_ms(chosen)

    def std_ms(self, chosen: Mapping[str, Choice]) -> float:
        """Standard deviation of the prediction: of the regression, and of the layers that were not measured."""
        x = _features(self.plain, self.kinds, self.dense_ms, chosen)
        unit_ms = _unit_of(self.costs.latency_ms(chosen), self.dense_ms)
        whole = unit_ms * float(np.sqrt(self.noise**2 + x @ self.covariance @ x))
        return self.stretch * float(np.hypot(whole, _layers_std_ms(self.plain, chosen)))


def fit_latency_model(
    costs: CostTable, kinds: dict[str, str], clock: str, measured: Sequence[tuple[Mapping[str, Choice], float]]
) -> LatencyModel:
    """Correct `costs` by whole models: choices and their measured median, milliseconds. None measured is allowed."""
    dense_ms = costs.latency_ms(all_dense(costs.parts))
    width = 2 * len(_kinds(costs, kinds))
    prior = _PRIOR_NOISE[clock]
    covariance, noise, weights, stretch = np.eye(width) * _PRIOR_WEIGHT**2, prior, np.zeros(width), 1.0
    if measured:
        x = np.array([_features(costs, kinds, dense_ms, chosen) for chosen, _ in measured])
        sums = np.array([costs.latency_ms(chosen) for chosen, _ in measured])
        units = np.array([_unit_of(each, dense_ms) for each in sums])
        missed = (np.array([ms for _, ms in measured]) - sums) / units
        regression = BayesianRidge(
            fit_intercept=False,
            alpha_1=_PRIOR_STRENGTH,
            alpha_2=_PRIOR_STRENGTH * prior**2,
            lambda_1=_PRIOR_STRENGTH,
            lambda_2=_PRIOR_STRENGTH * _PRIOR_WEIGHT**2,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.fit(x, missed)
        weights, covariance, noise = regression.coef_, regression.sigma_, float(regression.alpha_**-0.5)
        layers = np.array([_layers_std_ms(costs, chosen) for chosen, _ in measured]) / units
        stretch = _stretch(x, missed - x @ weights, covariance, noise, layers)
    corrected = _corrected(costs, kinds, weights)
    return LatencyModel(corrected, costs, kinds, dense_ms, covariance, noise, stretch, len(measured) + 2)


def _stretch(x: np.ndarray, residuals: np.ndarray, covariance: np.ndarray, noise: float, layers: np.ndarray) -> float:
    """How many of its standard deviations a whole is off when left out, root mean square, drawn towards one.

    Leaving one out divides its residual, and its variance, by one minus its leverage (Cook and Weisberg 1982, 2.2).
    """
    left = 1 - np.einsum("ni,ij,nj->n", x, covariance, x) / noise**2
    squares = (residuals / left) ** 2 / (noise**2 / left + layers**2)
    return float(np.sqrt((_STRETCH_STRENGTH + squares.sum()) / (_STRETCH_STRENGTH + len(squares))))


def _layers_std_ms(costs: CostTable, chosen: Mapping[str, Choice]) -> float:
    return float(np.sqrt(sum(costs.parts[name][choice].latency_std_ms ** 2 for name, choice in chosen.items())))


def _features(costs: CostTable, kinds: dict[str, str], dense_ms: float, chosen: Mapping[str, Choice]) -> np.ndarray:
    """By kind: milliseconds saved, and compact layers counted at the mean layer's time; both in `_unit_of` the sum."""
    saved = dict.fromkeys(_kinds(costs, kinds), 0.0)
    count = dict(saved)
    for name, choice in chosen.items():
        if choice != DENSE:
            row = costs.parts[name]
            kind = _kind(kinds, name, choice)
            saved[kind] += row[choice].latency_ms - row[DENSE].latency_ms
            count[kind] += _unit_ms(dense_ms, kinds)
    return np.array([*saved.values(), *count.values()]) / _unit_of(costs.latency_ms(chosen), dense_ms)


def _unit_of(sum_ms: float, dense_ms: float) -> float:
    """What errors are shares of: the sum, which where most blocks are gone may come to nothing, or to less."""
    return max(sum_ms, _LEAST_UNIT * dense_ms)


def _corrected(costs: CostTable, kinds: dict[str, str], weights: np.ndarray) -> CostTable:
    """The same sums as the regression's, as costs of single choices.

    What a kind's differences are stretched by, its dense layers are as well, and the rest of the model is so much less:
    a layer that takes longer inside the model than alone takes longer dense, too.
    """
    names = _kinds(costs, kinds)
    slope, offset = dict(zip(names, weights, strict=False)), dict(zip(names, weights[len(names) :], strict=True))
    unit = _unit_ms(costs.latency_ms(all_dense(costs.parts)), kinds)
    parts, rest_ms = {}, costs.rest_latency_ms
    for name, row in costs.parts.items():
        dense_ms = row[DENSE].latency_ms
        stretched_ms = slope[kinds[name]] * dense_ms
        parts[name] = {DENSE: replace(row[DENSE], latency_ms=float(dense_ms + stretched_ms))}
        for choice, cost in row.items():
            if choice != DENSE:
                kind = _kind(kinds, name, choice)
                differs_ms = (1 + slope[kind]) * (cost.latency_ms - dense_ms) + offset[kind] * unit
                parts[name][choice] = replace(cost, latency_ms=float(dense_ms + stretched_ms + differs_ms))
        rest_ms -= float(stretched_ms)
    return replace(costs, parts=parts, rest_latency_ms=rest_ms)


def _unit_ms(dense_ms: float, kinds: dict[str, str]) -> float:
    return dense_ms / len(kinds)


def _kinds(costs: CostTable, kinds: dict[str, str]) -> list[str]:
    offered = {_kind(kinds, name, choice) for name, row in costs.parts.items() for choice in row}
    return sorted({*kinds.values(), *offered})


def _kind(kinds: dict[str, str], name: str, choice: Choice) -> str:
    """Other precisions have kernels of their own."""
    counted = choice.form == "removed"  # in some precision, and computed in none
    return kinds[name] if choice.precision == "fp32" or counted else f"{kinds[name]} {choice.precision}"
