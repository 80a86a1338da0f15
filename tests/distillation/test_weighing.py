"""Beta-KD: a term that is uncertain weighs less, by the closed form and as learned."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from toolkit.distillation.terms import Term
from toolkit.distillation.weighing import precision, weighing_of
from toolkit.recipe import parse_recipe


@given(loss=st.floats(0, 20), values=st.integers(1, 200))
def test_the_closed_form_is_the_mean_of_the_posterior(loss: float, values: int) -> None:
    """Prior Gamma(1, 1) times likelihood beta^(d/2) exp(-beta D), integrated numerically around its mode."""
    shape, rate = 1 + values / 2, 1 + loss
    top = max((shape - 1) / rate, 1e-9)

    def posterior(beta: float) -> float:
        return (beta / top) ** (shape - 1) * 2.718281828459045 ** (-rate * (beta - top))

    spread = (shape**0.5) / rate
    low, high = max(0.0, top - 12 * spread), top + 40 * spread
    mass = integrate.quad(posterior, low, high, limit=200)[0]
    mean = integrate.quad(lambda beta: beta * posterior(beta), low, high, limit=200)[0] / mass
    assert precision(loss, values) == pytest.approx(mean, rel=1e-4)


def test_fixed_weights_are_those_of_the_default() -> None:
    terms = {"task": Term(torch.tensor([1.0, 3.0]), 3), "kd": Term(torch.tensor([0.5, 0.5]), 3)}
    assert float(weighing_of(parse_recipe("kd"), 4)(terms, torch.zeros(2, 4))) == pytest.approx(0.3 * 2 + 0.5)


def test_the_closed_form_leaves_the_labels_as_they_are() -> None:
    terms = {"task": Term(torch.tensor([2.0]), 10), "kd": Term(torch.tensor([4.0]), 10)}
    # (1 + 10/2) / (1 + 4) = 1.2
    assert float(weighing_of(parse_recipe("kd+beta"), 4)(terms, torch.zeros(1, 4))) == pytest.approx(2 + 1.2 * 4)


def _learn(recipe: str, terms: dict[str, Term], features: torch.Tensor) -> torch.Tensor:
    """`s` (N, terms) after descent on the weighing alone."""
    weighing = weighing_of(parse_recipe(recipe), features.shape[1])
    first = weighing(terms, features)
    assert float(first) == pytest.approx(sum(float(term.each.mean()) for term in terms.values()) / 2)  # s starts at 0
    optimizer = torch.optim.Adam(weighing.parameters, lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        weighing(terms, features).backward()
        optimizer.step()
    bias, *weight = [parameter.detach() for parameter in weighing.parameters]
    return bias + (features @ weight[0].T if weight else torch.zeros(len(features), 1))


def test_a_learned_weight_settles_at_one_over_its_loss() -> None:
    # d/ds of exp(-s) L / 2 + s / 2 is 0 at s = log L.
    terms = {"task": Term(torch.tensor([0.5, 1.5]), 3), "kd": Term(torch.tensor([0.1, 0.3]), 3)}
    learned = _learn("kd+beta-terms", terms, torch.zeros(2, 4))
    torch.testing.assert_close(learned[0], torch.tensor([1.0, 0.2]).log(), atol=0.02, rtol=0)


def test_no_weight_leaves_its_clamp() -> None:
    weighing = weighing_of(parse_recipe("kd+beta-terms"), 4)
    with torch.no_grad():
        weighing.parameters[0].copy_(torch.tensor([10.0, -10.0]))
    terms = {"task": Term(torch.tensor([2.0]), 3), "kd": Term(torch.tensor([3.0]), 3)}
    expected = (math.exp(-5) * 2 + 5 + math.exp(5) * 3 - 5) / 2
    assert float(weighing(terms, torch.zeros(1, 4))) == pytest.approx(expected, rel=1e-5)


def test_weights_of_instances_are_read_from_the_teachers_features() -> None:
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    terms = {"task": Term(torch.ones(2), 3), "kd": Term(torch.tensor([0.1, 2.0]), 3)}
    learned = _learn("kd+beta-instances", terms, features)
    torch.testing.assert_close(learned[:, 1], torch.tensor([0.1, 2.0]).log(), atol=0.05, rtol=0)


def test_what_weighs_does_not_reach_back_into_the_features() -> None:
    features = torch.ones(2, 4, requires_grad=True)
    weighing = weighing_of(parse_recipe("kd+beta-instances"), 4)
    each = torch.ones(2, requires_grad=True)
    weighing({"task": Term(each, 3), "kd": Term(each, 3)}, features).backward()
    assert features.grad is None
    assert each.grad is not None
