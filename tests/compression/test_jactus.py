"""Spectra: the error in the task's metric is the tail, and every rank is a prefix of the next."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.choice import DENSE, rank
from toolkit.compression import LayerStatistics, Spectrum, factors_at, gain_curve, jactus_spectrum


def _problem(m: int, n: int, seed: int, seen: int = 50) -> tuple[torch.Tensor, LayerStatistics]:
    generator = torch.Generator().manual_seed(seed)

    def covariance(size: int) -> torch.Tensor:
        rows = torch.randn(seen, size, generator=generator, dtype=torch.float64) * torch.linspace(0.1, 2, size)
        return rows.T @ rows / seen

    return torch.randn(m, n, generator=generator), LayerStatistics(covariance(n), covariance(m))


def _damped(covariance: torch.Tensor) -> torch.Tensor:
    """The metric that jactus_spectrum states: a hundredth of the mean eigenvalue is added."""
    return covariance + 1e-2 * covariance.trace() / len(covariance) * torch.eye(len(covariance), dtype=torch.float64)


def _approximation(spectrum: Spectrum, rank: int) -> torch.Tensor:
    factors = factors_at(spectrum, rank)
    return (factors.u.double() @ factors.core.double()) @ factors.v.double().T


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 7), st.integers(2, 7), st.integers(1, 7), st.integers(0, 99))
def test_the_error_in_the_task_metric_is_what_the_gain_leaves(m: int, n: int, k: int, seed: int) -> None:
    # K-FAC: 1/2 tr(Sg dW Sx dW^T) is the second-order loss of dW; true inside a full union (k large) and a partial one.
    weight, statistics = _problem(m, n, seed)
    spectrum = jactus_spectrum(weight, statistics, k)
    errors = []
    for count in range(1, len(spectrum.values) + 1):
        missing = weight.double() - _approximation(spectrum, count)
        error = 0.5 * float((_damped(statistics.sigma_g) @ missing @ _damped(statistics.sigma_x) @ missing.T).trace())
        assert error == pytest.approx(spectrum.removal - spectrum.gain(count), abs=1e-5 * spectrum.removal)
        errors.append(error)
    assert all(later <= earlier + 1e-6 * spectrum.removal for earlier, later in itertools.pairwise(errors))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(2, 8), st.integers(0, 99))
def test_bases_are_orthonormal_and_every_rank_is_a_prefix(m: int, n: int, seed: int) -> None:
    weight, statistics = _problem(m, n, seed)
    spectrum = jactus_spectrum(weight, statistics, 4)
    largest = factors_at(spectrum, len(spectrum.values))
    for count in range(1, len(spectrum.values) + 1):
        factors = factors_at(spectrum, count)
        assert torch.equal(factors.u, largest.u[:, :count])
        assert torch.equal(factors.v, largest.v[:, :count])
        torch.testing.assert_close(factors.u.T @ factors.u, torch.eye(count), atol=1e-5, rtol=0)
        torch.testing.assert_close(factors.v.T @ factors.v, torch.eye(count), atol=1e-5, rtol=0)


def test_with_an_isotropic_task_the_best_approximation_is_the_plain_svd() -> None:
    # Eckart-Young: with both covariances the identity, the metric is the Frobenius norm (1 % damping scales both).
    weight, _ = _problem(6, 5, 0)
    white = LayerStatistics(torch.eye(5, dtype=torch.float64), torch.eye(6, dtype=torch.float64))
    spectrum = jactus_spectrum(weight, white, 5)
    torch.testing.assert_close(spectrum.values, 1.01 * torch.linalg.svdvals(weight.double()))


def test_what_the_task_uses_outlives_what_is_merely_large() -> None:
    weight = torch.diag(torch.tensor([10.0, 1.0]))
    used = torch.diag(torch.tensor([1e-4, 1.0], dtype=torch.float64))
    spectrum = jactus_spectrum(weight, LayerStatistics(used, torch.eye(2, dtype=torch.float64)), 2)
    assert factors_at(spectrum, 1).v.abs().argmax() == 1


@pytest.mark.parametrize("dead", ["sigma_x", "sigma_g", "both"])
def test_a_layer_that_saw_nothing_is_still_reproduced_at_full_rank(dead: str) -> None:
    weight, alive = _problem(4, 5, 0)
    nothing_x, nothing_g = torch.zeros(5, 5, dtype=torch.float64), torch.zeros(4, 4, dtype=torch.float64)
    statistics = LayerStatistics(
        nothing_x if dead != "sigma_g" else alive.sigma_x, nothing_g if dead != "sigma_x" else alive.sigma_g
    )
    spectrum = jactus_spectrum(weight, statistics, 5)
    torch.testing.assert_close(_approximation(spectrum, 4).float(), weight, atol=1e-4, rtol=1e-4)


def test_zero_weights_are_worth_nothing() -> None:
    _, statistics = _problem(4, 5, 0)
    spectrum = jactus_spectrum(torch.zeros(4, 5), statistics, 3)
    assert spectrum.gain(3) == 0
    assert torch.equal(_approximation(spectrum, 2), torch.zeros(4, 5, dtype=torch.float64))


def test_a_gain_curve_never_falls_and_dense_is_worth_most() -> None:
    weight, statistics = _problem(8, 6, 0)
    spectrum = jactus_spectrum(weight, statistics, 6)
    curve = gain_curve("layer", weight, spectrum, map(rank, (1, 3, 5)))
    assert 0 < curve.of(rank(1)) <= curve.of(rank(3)) <= curve.of(rank(5)) <= curve.of(DENSE)
    assert curve.of(DENSE) == pytest.approx(spectrum.gain(6))  # the union is full: all of the loss is inside it
    squares = torch.linalg.svdvals(weight) ** 2
    assert curve.energy == {rank(r): pytest.approx(float(squares[:r].sum() / squares.sum())) for r in (1, 3, 5)}
