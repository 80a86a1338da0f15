"""Subspaces that a layer's weight and its covariances single out, and their union."""

import torch

# Above this size all eigenvectors take longer than the rest of the work on a layer together: the top ones are enough.
_EXACT_UP_TO = 1024
_ITERATIONS = 3
# A direction that the other subspace holds to this sine, squared, adds nothing.
_HELD = 1e-8
# Singular values below this share of the largest hold no weight that float32 could tell from rounding.
_NO_WEIGHT = 1e-6


def singular_subspaces(weight: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal left (m, <= k) and right (n, <= k) singular vectors of the k largest nonzero singular values."""
    w = weight.double()
    if w.shape[0] < w.shape[1]:
        right, left = singular_subspaces(w.T, k)
        return left, right
    squares, vectors = torch.linalg.eigh(w.T @ w)
    sizes, v = squares.flip(0)[:k].clamp_min(0).sqrt(), vectors.flip(1)[:, :k]
    held = sizes > _NO_WEIGHT * sizes[0]
    return w @ v[:, held] / sizes[held], v[:, held]


def top_eigenvectors(covariance: torch.Tensor, k: int) -> torch.Tensor:
    """An orthonormal basis of the k leading eigenvectors of a symmetric positive (n, n) matrix.

    Large ones by subspace iteration from a fixed random start (Halko, Martinsson & Tropp 2011, algorithm 4.4); not by
    scikit-learn's, whose BLAS is another than torch's, with threads that spin against torch's.
    """
    n = len(covariance)
    if n <= _EXACT_UP_TO or 2 * k >= n:
        return torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :k]
    basis = torch.randn(n, k, dtype=covariance.dtype, generator=torch.Generator().manual_seed(0))
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(covariance @ basis).Q
    return basis


def union(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """An orthonormal basis of both spans: `first`, and what of `second` it does not hold."""
    rest = second - first @ (first.T @ second)
    squares, vectors = torch.linalg.eigh(rest.T @ rest)
    new = squares > _HELD
    return torch.cat([first, rest @ vectors[:, new] / squares[new].sqrt()], dim=1)
