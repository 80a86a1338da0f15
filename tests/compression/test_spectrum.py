"""The best approximations: no other of that rank is nearer in the metric, and every rank is a prefix of the next."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from toolkit.compression import Spectrum, best_approximations, components_at, components_of, factors_at


def _metric(size: int, generator: torch.Generator) -> torch.Tensor:
    rows = torch.randn(3 * size, size, generator=generator, dtype=torch.float64) * torch.linspace(0.1, 2, size)
    return rows.T @ rows / len(rows)


def _root(metric: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(metric)
    return vectors @ values.sqrt().diag() @ vectors.T


def _approximation(spectrum: Spectrum, rank: int) -> torch.Tensor:
    factors = factors_at(spectrum, rank)
    return factors.u.double() @ factors.core.double() @ factors.v.double().T


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.booleans(), st.booleans(), st.integers(0, 99))
def test_each_rank_is_as_near_as_any_approximation_can_be(m: int, n: int, of_g: bool, of_x: bool, seed: int) -> None:
    # Eckart-Young in the whitened weight: the squared error of rank r is the sum of the other squared singular values.
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(m, n, generator=generator)
    sigma_g, sigma_x = _metric(m, generator) if of_g else None, _metric(n, generator) if of_x else None
    spectrum = best_approximations(weight, sigma_g, sigma_x, 7)
    root_g = torch.eye(m, dtype=torch.float64) if sigma_g is None else _root(sigma_g)
    root_x = torch.eye(n, dtype=torch.float64) if sigma_x is None else _root(sigma_x)
    values = torch.linalg.svdvals(root_g @ weight.double() @ root_x)
    assert len(spectrum.values) == min(m, n)
    torch.testing.assert_close(spectrum.values, values, atol=1e-6, rtol=1e-6)
    assert spectrum.removal == pytest.approx(0.5 * float((values**2).sum()))
    for rank in range(1, len(values) + 1):
        missing = root_g @ (weight.double() - _approximation(spectrum, rank)) @ root_x
        assert float((missing**2).sum()) == pytest.approx(
            float((values[rank:] ** 2).sum()), abs=1e-5 * float(values[0]) ** 2
        )


def test_inside_given_bases_nothing_else_is_used() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 5, generator=generator)
    u, v = (torch.linalg.qr(torch.randn(size, 3, generator=generator, dtype=torch.float64)).Q for size in (6, 5))
    for one, other in ((u, v), (u, None), (None, v)):
        found = best_approximations(weight, _metric(6, generator), _metric(5, generator), 5, u=one, v=other)
        assert len(found.values) == 3
        if one is not None:
            torch.testing.assert_close(u @ (u.T @ found.u.double()), found.u.double(), atol=1e-5, rtol=0)
        if other is not None:
            torch.testing.assert_close(v @ (v.T @ found.v.double()), found.v.double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_a_weight_of_low_rank_is_reproduced_by_as_many_components(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape[0], 1, generator=generator) @ torch.randn(1, shape[1], generator=generator)
    spectrum = best_approximations(weight, None, _metric(shape[1], generator), 3)
    torch.testing.assert_close(_approximation(spectrum, 1).float(), weight, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(_approximation(spectrum, 3).float(), weight, atol=1e-5, rtol=1e-5)


def test_components_one_by_one_add_up_to_every_rank() -> None:
    generator = torch.Generator().manual_seed(0)
    spectrum = best_approximations(torch.randn(6, 5, generator=generator), None, _metric(5, generator), 5)
    left, right = components_at(spectrum, 5)
    torch.testing.assert_close(left.norm(dim=0), right.norm(dim=0))
    for rank in (1, 3, 5):
        summed = left[:, :rank] @ right[:, :rank].T
        torch.testing.assert_close(summed, _approximation(spectrum, rank).float(), atol=1e-5, rtol=1e-5)


def test_even_a_layer_that_no_rank_makes_smaller_has_a_component() -> None:
    assert components_of(nn.Linear(1, 1)) == 1
    assert components_of(nn.Linear(768, 3072)) == 614  # 614 x (768 + 3072) < 768 x 3072 < 615 x (768 + 3072)
