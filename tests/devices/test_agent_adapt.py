"""How the board judges what it has learned."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from toolkit.devices.agent.adapt import best_cross_entropy


def test_the_loss_is_the_cross_entropy_at_its_best_temperature() -> None:
    generator = np.random.default_rng(0)
    logits, y = generator.standard_normal((30, 4)) * 5, generator.integers(0, 4, 30)
    logits[np.arange(30), y] += 6

    def cross_entropy(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(30), y]).mean())

    best = minimize_scalar(cross_entropy, bounds=(-3, 4), method="bounded").fun
    assert best_cross_entropy(logits, y) == pytest.approx(best, rel=1e-2)


def test_overconfidence_alone_is_not_held_against_it() -> None:
    generator = np.random.default_rng(0)
    logits, y = generator.standard_normal((30, 4)), generator.integers(0, 4, 30)
    logits[np.arange(30), y] += 1
    assert best_cross_entropy(10 * logits, y) == pytest.approx(best_cross_entropy(logits, y), rel=1e-2)


def test_guessing_costs_the_logarithm_of_the_classes() -> None:
    assert best_cross_entropy(np.zeros((6, 3)), np.arange(6) % 3) == pytest.approx(np.log(3))
