"""Subspaces hold what they should, exact and by iteration alike."""

import pytest
import torch

from toolkit.compression.subspaces import singular_subspaces, top_eigenvectors, union


def _covariance(size: int, power: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    return turn @ torch.arange(1, size + 1).double().pow(-power).diag() @ turn.T


@pytest.mark.parametrize("size", [60, 1100])
def test_the_top_eigenvectors_hold_nearly_all_the_variance_that_any_k_directions_can(size: int) -> None:
    # Eigenvalues 1/i: the best k directions hold the k largest. Above 1,024 it is the iteration that is asked.
    k = size // 5
    found = top_eigenvectors(_covariance(size, 1.0), k)
    assert found.shape == (size, k)
    torch.testing.assert_close(found.T @ found, torch.eye(k, dtype=torch.float64), atol=1e-10, rtol=0)
    held = float((found.T @ _covariance(size, 1.0) @ found).trace())
    assert held >= 0.98 * sum(1 / i for i in range(1, k + 1))
    assert torch.equal(found, top_eigenvectors(_covariance(size, 1.0), k))


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_singular_subspaces_are_those_of_the_decomposition_and_leave_out_what_holds_no_weight(
    shape: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape[0], 3) @ torch.randn(3, shape[1])
    p, _, qh = torch.linalg.svd(weight.double(), full_matrices=False)
    for k, kept in ((2, 2), (4, 3)):
        u, v = singular_subspaces(weight, k)
        torch.testing.assert_close(u @ u.T, p[:, :kept] @ p[:, :kept].T, atol=1e-6, rtol=0)
        torch.testing.assert_close(v @ v.T, qh[:kept].T @ qh[:kept], atol=1e-6, rtol=0)


def test_a_union_holds_both_and_repeats_nothing() -> None:
    axes = torch.eye(5, dtype=torch.float64)
    both = union(axes[:, :2], torch.linalg.qr(axes[:, 1:4] + 0.0).Q)
    assert both.shape == (5, 4)
    torch.testing.assert_close(both @ both.T, torch.diag(torch.tensor([1.0, 1, 1, 1, 0], dtype=torch.float64)))
    assert union(axes, axes[:, :2]).shape == (5, 5)
    assert union(axes[:, :0], axes[:, :2]).shape == (5, 2)
