"""Spectrum: a layer's components in order of worth, each rank a prefix of the next, and how the best ones are found."""

from dataclasses import dataclass

import torch

from toolkit.compression.layers import Dense, Factors, break_even_rank


@dataclass(frozen=True)
class Spectrum:
    """One layer's components, most valuable first; every rank is a prefix.

    `u` (m, K) and `v` (n, K) are orthonormal in order, float32; the first r components together are
    `u_r left_r right_r^T v_r^T` with the leading r x r of the upper triangular `left` and `right` (K, K). `values` (K,)
    are the components' sizes in the metric that ordered them; `removal` is what having no layer at all would lose.
    """

    u: torch.Tensor
    left: torch.Tensor
    values: torch.Tensor
    right: torch.Tensor
    v: torch.Tensor
    removal: float

    def gain(self, rank: int) -> float:
        """Loss saved by keeping `rank` components instead of none: nats an example, where the metric knows the loss."""
        return 0.5 * float((self.values[:rank] ** 2).sum())


def factors_at(spectrum: Spectrum, rank: int) -> Factors:
    """Orthonormal bases of the first `rank` components, and the core that makes them the best rank-r approximation."""
    core = spectrum.left[:rank, :rank] @ spectrum.right[:rank, :rank].T
    return Factors(spectrum.u[:, :rank], core.float(), spectrum.v[:, :rank])


def components_at(spectrum: Spectrum, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `rank` components one by one, as columns (m, r) and (n, r) of equal length: their outer products."""
    left = spectrum.u[:, :rank].double() @ spectrum.left[:rank, :rank]
    right = spectrum.v[:, :rank].double() @ spectrum.right[:rank, :rank]
    longer = (right.norm(dim=0) / left.norm(dim=0).clamp_min(1e-30)).clamp(1e-6, 1e6).sqrt()
    return (left * longer).float(), (right / longer).float()


def components_of(layer: Dense) -> int:
    """How many components of a layer are worth knowing: beyond them two factors hold no fewer weights than it."""
    return max(1, break_even_rank(layer))


def ordered(left: torch.Tensor, right: torch.Tensor, values: torch.Tensor, removal: float) -> Spectrum:
    """The spectrum whose i-th component is `left[:, i] right[:, i]^T`; columns as in (m, K) and (n, K)."""
    u, left_triangle = torch.linalg.qr(left)
    v, right_triangle = torch.linalg.qr(right)
    return Spectrum(u.float(), left_triangle, values, right_triangle, v.float(), removal)


def best_approximations(
    weight: torch.Tensor,
    sigma_g: torch.Tensor | None,
    sigma_x: torch.Tensor | None,
    k: int,
    *,
    u: torch.Tensor | None = None,
    v: torch.Tensor | None = None,
) -> Spectrum:
    """Up to k components of `weight` (m, n), each prefix the best of its rank: `1/2 ||Sg^1/2 (W - U M V^T) Sx^1/2||^2`.

    The metrics `sigma_g` (m, m) and `sigma_x` (n, n) are positive definite, None the identity; the columns of `u` and
    `v` are independent and span what the approximation may use, None everything. The eigenvectors of one matrix of the
    smaller side are all that is decomposed: setting the gradient to zero leaves `B = P W Sx T` with `P` the projection
    onto `u` orthogonal in `Sg`, `T` the columns of `v` made orthonormal in `Sx`, and the components of B in `Sg`.
    """
    m, n = weight.shape
    if m < n:
        turned = best_approximations(weight.T, sigma_x, sigma_g, k, u=v, v=u)
        return Spectrum(turned.v, turned.right, turned.values, turned.left, turned.u, turned.removal)
    w = weight.double()
    seen = w if sigma_x is None else w @ sigma_x
    removal = 0.5 * float((w * (seen if sigma_g is None else sigma_g @ seen)).sum())
    inputs = _orthonormal_in(sigma_x, torch.eye(n, dtype=torch.float64) if v is None else v)
    b = seen @ inputs
    if u is None:
        weighed = b if sigma_g is None else sigma_g @ b
    else:
        metric_u = u if sigma_g is None else sigma_g @ u
        within = torch.cholesky_solve(metric_u.T @ b, torch.linalg.cholesky(u.T @ metric_u))
        b, weighed = u @ within, metric_u @ within
    squares, turn = _descending_eigh(b.T @ weighed)
    count = min(k, b.shape[1], m if u is None else u.shape[1])
    turn = turn[:, :count]
    return ordered(b @ turn, inputs @ turn, squares[:count].clamp_min(0).sqrt(), removal)


def _orthonormal_in(metric: torch.Tensor | None, basis: torch.Tensor) -> torch.Tensor:
    """The columns of `basis` turned so that `T^T metric T` is the identity."""
    gram = basis.T @ (basis if metric is None else metric @ basis)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(gram).T, basis, upper=True, left=False)


def _descending_eigh(symmetric: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values, vectors = torch.linalg.eigh((symmetric + symmetric.T) / 2)
    return values.flip(0), vectors.flip(1)
