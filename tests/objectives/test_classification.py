"""What a board judges by that has learned to classify."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar

from toolkit.objectives import Classification


def _logits(scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(4, (30,), generator=generator)
    return scale * torch.randn(30, 4, generator=generator) + 6 * F.one_hot(y, 4), y


def _best(logits: torch.Tensor, y: torch.Tensor) -> float:
    return float(Classification().judgement(logits, y).mean(0).min())


def test_it_is_judged_by_the_cross_entropy_at_its_best_temperature() -> None:
    logits, y = _logits(5)
    found = minimize_scalar(
        lambda heat: F.cross_entropy(logits / float(np.exp(heat)), y).item(), bounds=(-3, 4), method="bounded"
    )
    assert _best(logits, y) == pytest.approx(found.fun, rel=2e-2)


def test_overconfidence_alone_is_not_held_against_it() -> None:
    logits, y = _logits(5)
    assert _best(10 * logits, y) == pytest.approx(_best(logits, y), rel=2e-2)


def test_guessing_costs_the_logarithm_of_the_classes() -> None:
    assert _best(torch.zeros(6, 3), torch.arange(6) % 3) == pytest.approx(np.log(3))


def test_loss_and_score_are_each_examples_own() -> None:
    logits, y = _logits(5)
    classes = Classification()
    torch.testing.assert_close(classes.loss(logits, y), F.cross_entropy(logits, y, reduction="none"))
    assert classes.score(logits, y).tolist() == (logits.argmax(1) == y).float().tolist()
