"""JACTUS: joint adaptation and compression with a task-aware union of subspaces.

From the paper (abstract): the orthogonal union of the pretrained weight's subspace with those of the input and the
pre-activation gradient, a projected low-rank approximation inside it, and training of the compact core alone. Our
reading of the rest: the approximation is best in the task's own metric, `A = (U^T Sg U)^1/2 U^T W V (V^T Sx V)^1/2
= P S Q^T`, so that `1/2 s_i^2` is the K-FAC estimate of the loss that component i saves, in nats and comparable
across layers.
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
    the task, `u` and `v` the same columns made orthonormal in order, so that prefixes span the same.
    """

    left: torch.Tensor
    values: torch.Tensor
    right: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor

    def gain(self, rank: int) -> float:
        """Estimated loss (nats an example) saved by keeping `rank` components instead of none."""
        return 0.5 * float((self.values[:rank] ** 2).sum())


def jactus_spectrum(weight: torch.Tensor, statistics: LayerStatistics, k: int) -> Spectrum:
    """Spectrum of `weight` (m, n) inside the union of k-dimensional subspaces of weight, inputs and gradients."""
    w = weight.double()
    p, _, qh = torch.linalg.svd(w, full_matrices=False)
    u = _union(p[:, :k], _top_eigenvectors(statistics.sigma_g, k))
    v = _union(qh[:k].T, _top_eigenvectors(statistics.sigma_x, k))
    half_g, inverse_half_g = _square_roots(u.T @ statistics.sigma_g @ u)
    half_x, inverse_half_x = _square_roots(v.T @ statistics.sigma_x @ v)
    a_left, values, a_right = torch.linalg.svd(half_g @ (u.T @ w @ v) @ half_x, full_matrices=False)
    left = u @ (inverse_half_g @ a_left)
    right = v @ (inverse_half_x @ a_right.T)
    return Spectrum(left, values, right, torch.linalg.qr(left).Q, torch.linalg.qr(right).Q)


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


def _square_roots(covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Symmetric square root and its inverse, of the damped covariance."""
    values, vectors = torch.linalg.eigh(covariance)
    damped = values.clamp_min(0) + _DAMPING * values.clamp_min(0).mean() + 1e-30
    return (vectors * damped.sqrt()) @ vectors.T, (vectors * damped.rsqrt()) @ vectors.T
