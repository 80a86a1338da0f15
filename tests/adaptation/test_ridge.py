"""The head that a few examples give: what it computes, by which strength, and what it makes of odd ones."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime import InferenceSession

from toolkit.adaptation.ridge import ridge_head, trace_ridge
from toolkit.runtimes import onnxruntime


def _examples(classes: int, shots: int, size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(classes).repeat_interleave(shots)
    means = 1.5 * torch.randn(classes, size, generator=generator)
    return 3 + means[y] + torch.randn(len(y), size, generator=generator), y


def _reference(features: np.ndarray, y: np.ndarray, iterations: int) -> np.ndarray:
    """Logits (N, classes) of ridge regression in float64, the inverse as eigenvalues have it, without their scale."""
    variance = features.var(0)
    scale = (variance + 0.01 * variance.mean() + (1e-4 * features.mean(0)) ** 2) ** -0.5
    seen = (features - features.mean(0)) * scale / np.sqrt(max(1.0, float((variance * scale**2).sum())))
    hot = np.eye(y.max() + 1)[y]
    values, vectors = np.linalg.eigh(seen.T @ seen / len(seen))
    kept = values > 1e-12
    inverse = np.where(kept, (1 - (1 - values) ** (2**iterations)) / np.where(kept, values, 1), 0)
    weight = vectors @ np.diag(inverse) @ vectors.T @ seen.T @ (hot - hot.mean(0)) / len(seen)
    return seen @ weight + hot.mean(0)


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(1, 6), st.integers(1, 40), st.integers(0, 99))
def test_it_is_ridge_regression_of_one_of_three_strengths(classes: int, shots: int, size: int, seed: int) -> None:
    errors = _errors(*_examples(classes, shots, size, seed))
    # Of single examples nothing can be left out.
    assert (min(errors.values()) if shots > 1 else errors[5]) < 0.01


def _errors(features: torch.Tensor, y: torch.Tensor) -> dict[int, float]:
    """How far logits are from those of each strength, by its iterations: the more, the weaker."""
    weight, bias = ridge_head(features, y, torch.ones(len(y)), int(y.max()) + 1)
    logits = (features @ weight.T + bias).double().numpy()
    expected = {each: _reference(features.double().numpy(), y.numpy(), each) for each in (5, 7, 9)}
    return {each: float(np.abs(logits - 2 / found.std() * found).max()) for each, found in expected.items()}


def test_a_little_of_every_feature_is_fitted_by_the_greatest_strength() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(40) % 2
    errors = _errors(torch.randn(40, 30, generator=generator) + 0.5 * y[:, None], y)
    assert min(errors, key=lambda each: errors[each]) == 5


def test_a_direction_of_little_variance_is_fitted_by_the_least() -> None:
    """It tells the classes, and a fit that is strongly held back does not see it."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(80) % 2
    shared = 4 * torch.randn(80, 1, generator=generator)
    features = shared.expand(80, 12) + 0.5 * torch.randn(80, 12, generator=generator)
    features[:, 0] += 2.0 * y
    fitted, queries = slice(0, 40), slice(40, 80)
    weight, bias = ridge_head(features[fitted], y[fitted], torch.ones(40), 2)
    right = ((features[queries] @ weight.T + bias).argmax(1) == y[queries]).double().mean()
    means = torch.stack([features[fitted][y[fitted] == label].mean(0) for label in (0, 1)])
    nearest = (torch.cdist(features[queries], means).argmin(1) == y[queries]).double().mean()
    assert right > 0.85 > 0.7 > nearest
    errors = _errors(features[fitted], y[fitted])
    assert min(errors, key=lambda each: errors[each]) == 9


@pytest.mark.parametrize("size", [3, 20], ids=["narrow", "wide"])
def test_examples_without_weight_are_not_seen(size: int) -> None:
    features, y = _examples(2, 8, size)
    order = torch.arange(16).reshape(2, 8).T.flatten()
    features, y = features[order], y[order]
    some = ridge_head(features, y, torch.tensor([1.0] * 10 + [0.0] * 6), 2)
    for found, wanted in zip(some, ridge_head(features[:10], y[:10], torch.ones(10), 2), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0, 7.3])
def test_features_that_do_not_differ_tell_nothing(value: float) -> None:
    """Rounding errors of their mean are no signal."""
    for made in ridge_head(torch.full((30, 6), value), torch.arange(30) % 3, torch.ones(30), 3):
        assert made.abs().max() < 1


def test_a_rare_class_is_told_as_well_as_others() -> None:
    generator = torch.Generator().manual_seed(0)
    y = (torch.arange(210) >= 200).long()
    means = 0.5 * torch.randn(2, 16, generator=generator)
    features = means[y] + torch.randn(210, 16, generator=generator)
    weight, bias = ridge_head(features, y, torch.ones(210), 2)
    queries = means[1] + torch.randn(400, 16, generator=generator)
    assert float(((queries @ weight.T + bias).argmax(1) == 1).double().mean()) > 0.75  # else 0.02


def test_a_feature_that_was_nearly_silent_does_not_decide() -> None:
    generator = torch.Generator().manual_seed(2)
    y = torch.arange(20) % 2
    features = torch.cat([2.0 * y[:, None] + torch.randn(20, 4, generator=generator), torch.zeros(20, 1)], 1)
    features[0, 4] = 0.001  # in one of them, and strong in any other example
    weight, bias = ridge_head(features, y, torch.ones(20), 2)
    queries = torch.cat([2.0 + torch.randn(400, 4, generator=generator), torch.ones(400, 1)], 1)
    assert float(((queries @ weight.T + bias).argmax(1) == 1).double().mean()) > 0.95  # else 0


def test_a_feature_that_never_varies_counts_for_nothing() -> None:
    features, y = _examples(3, 5, 4)
    weight, bias = ridge_head(features, y, torch.ones(15), 3)
    more, other = ridge_head(torch.cat([features, torch.full((15, 2), 7.0)], 1), y, torch.ones(15), 3)
    assert more[:, 4:].abs().max() < 1e-6
    # The mean feature varies less with them, by which a floor is set.
    torch.testing.assert_close(features @ more[:, :4].T + other, features @ weight.T + bias, rtol=0, atol=0.02)


@pytest.mark.parametrize("spread", [2.0, 0.5])
def test_logits_on_the_support_spread_as_asked(spread: float) -> None:
    features, y = _examples(3, 4, 5)
    weight, bias = ridge_head(100 * features, y, torch.ones(12), 3, spread)
    assert float((100 * features @ weight.T + bias).std(correction=0)) == pytest.approx(spread, rel=1e-4)


@pytest.mark.parametrize("size", [5, 20], ids=["narrow", "wide"])
def test_its_program_computes_the_same(size: int) -> None:
    """A runtime may fuse what stands in it, and has fused it wrongly."""
    features, y = _examples(3, 4, size)
    weights = torch.tensor([1.0, 1, 1, 0] * 3)
    session = InferenceSession(onnxruntime.export(trace_ridge(size, 3, 12), ()).data)
    given = dict(zip([each.name for each in session.get_inputs()], (features, y, weights), strict=True))
    made = session.run(None, {name: value.numpy() for name, value in given.items()})
    # Training begins softer than what is served, by a quarter: see `_TRAINED` there.
    for found, wanted in zip(made, ridge_head(features, y, weights, 3), strict=True):
        np.testing.assert_allclose(4 * found, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [3, 20], ids=["narrow", "wide"])
def test_classes_without_examples_are_never_answered(size: int) -> None:
    """And change nothing of the others, in torch and as a board runs it."""
    features, y = _examples(3, 6, size)
    rows = torch.tensor([4, 0, 2])[y]  # classes 1 and 3 have none
    weight, bias = ridge_head(features, rows, torch.ones(18), 5)
    for found, wanted in zip((weight, bias), ridge_head(features, y, torch.ones(18), 3), strict=True):
        torch.testing.assert_close(found[[4, 0, 2]], wanted)
    assert not weight[[1, 3]].any()
    assert bias[[1, 3]].tolist() == [-1e4, -1e4]
    program = onnxruntime.export(trace_ridge(size, 5, 18), ())
    session = InferenceSession(program.data)
    given = [features.numpy(), rows.numpy(), np.ones(18, np.float32)]
    made = session.run(None, dict(zip([port.name for port in session.get_inputs()], given, strict=True)))
    expected = ridge_head(features, rows, torch.ones(18), 5, 0.5)
    for found, wanted in zip(made, expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3, atol=1e-4)
