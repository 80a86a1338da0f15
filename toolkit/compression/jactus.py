"""JACTUS: joint adaptation and compression with a task-aware union of subspaces.

From the paper (abstract): the orthogonal union of the pretrained weight's subspace with those of the input and the
pre-activation gradient, a projected low-rank approximation inside it, and training of the compact core alone. Our
reading of the rest: the approximation `U M V^T` is the best in the task's own metric, `1/2 ||Sg^1/2 (W - U M V^T)
Sx^1/2||^2`, the K-FAC estimate of the loss it costs. Setting the gradient to zero and truncating gives
`(U^T Sg U)^-1/2 U^T Sg W Sx V (V^T Sx V)^-1/2 = P S Q^T`: component i saves `1/2 s_i^2` nats, comparable across layers.
"""

from dataclasses import dataclass

import torch

from toolkit.compression.calibration import LayerStatistics
from toolkit.compression.layers import Factors

# Share of the mean eigenvalue added to a covariance before it is inverted: a small set leaves null directions.
_DAMPING = 1e-2


@dataclass(frozen=True)
class Spectrum:
    """One layer's components, most valuable first; every rank is a prefix.

    `left` (m, K) and `right` (n, K) are unwhitened singular vectors, `values` (K,) the singular values in the metric of
    the task, `u` and `v` the same columns made orthonormal in order, so that prefixes span the same. `removal` is the
    estimated loss (nats an example) of having no layer at all: what the dense layer gains.
    """

    left: torch.Tensor
    values: torch.Tensor
    right: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor
    removal: float

    def gain(self, rank: int) -> float:
        """Estimated loss (nats an example) saved by keeping `rank` components instead of none."""
        return 0.5 * float((self.values[:rank] ** 2).sum())


def jactus_spectrum(weight: torch.Tensor, statistics: LayerStatistics, k: int) -> Spectrum:
    """Spectrum of `weight` (m, n) inside the union of k-dimensional subspaces of weight, inputs and gradients."""
    w = weight.double()
    sigma_g, sigma_x = _damped(statistics.sigma_g), _damped(statistics.sigma_x)
    p, _, qh = torch.linalg.svd(w, full_matrices=False)
    u = _union(p[:, :k], _top_eigenvectors(sigma_g, k))
    v = _union(qh[:k].T, _top_eigenvectors(sigma_x, k))
    whiten_g, whiten_x = _inverse_root(u.T @ sigma_g @ u), _inverse_root(v.T @ sigma_x @ v)
    seen = sigma_g @ w @ sigma_x
    a_left, values, a_right = torch.linalg.svd(whiten_g @ (u.T @ seen @ v) @ whiten_x, full_matrices=False)
    left, right = u @ (whiten_g @ a_left), v @ (whiten_x @ a_right.T)
    removal = 0.5 * float((w * seen).sum())
    return Spectrum(left, values, right, torch.linalg.qr(left).Q, torch.linalg.qr(right).Q, removal)


def factors_at(spectrum: Spectrum, rank: int) -> Factors:
    """Orthonormal bases of the first `rank` components, and the core that makes them the best rank-r approximation."""
    u, v = spectrum.u[:, :rank], spectrum.v[:, :rank]
    left, right = spectrum.left[:, :rank], spectrum.right[:, :rank]
    core = (u.T @ left) @ torch.diag(spectrum.values[:rank]) @ (right.T @ v)
    return Factors(u.float(), core.float(), v.float())


def _union(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """An orthonormal basis of both; directions that the first already holds (to 1e-6) are not repeated."""
    rest = second - first @ (first.T @ second)
    extra, sizes, _ = torch.linalg.svd(rest, full_matrices=False)
    return torch.linalg.qr(torch.cat([first, extra[:, sizes > 1e-6]], dim=1)).Q


def _top_eigenvectors(covariance: torch.Tensor, k: int) -> torch.Tensor:
    return torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :k]


def _damped(covariance: torch.Tensor) -> torch.Tensor:
    mean = covariance.diagonal().mean()
    return covariance + (_DAMPING * mean + 1e-30) * torch.eye(len(covariance), dtype=covariance.dtype)


def _inverse_root(covariance: torch.Tensor) -> torch.Tensor:
    """The symmetric inverse square root of a positive definite matrix."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(1e-300).rsqrt()) @ vectors.T
