"""Losses against their definitions, written out."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from toolkit.distillation import kd, misdirection, terms_of
from toolkit.distillation.losses import feature_error
from toolkit.distillation.terms import Seen
from toolkit.recipe import parse_recipe


def test_kd_is_the_scaled_divergence_of_softened_predictions() -> None:
    # Hinton et al. 2015, section 2: KL(p_teacher^T || p_student^T) * T^2, here written out.
    student, teacher = torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([[0.0, 2.0, 0.0]])
    p, q = F.softmax(teacher / 2, -1), F.softmax(student / 2, -1)
    assert float(kd(student, teacher, 2.0)) == pytest.approx(4 * float((p * (p / q).log()).sum()), rel=1e-5)
    assert float(kd(teacher, teacher, 2.0)) == pytest.approx(0, abs=1e-6)


def test_features_err_by_a_share_of_the_teachers_variance() -> None:
    # Per feature the teacher's variance is 1 and 4; the errors' squares are 0, 1 + 1 and 9.
    teacher = torch.tensor([[1.0, 2.0], [-1.0, -2.0], [1.0, 2.0], [-1.0, -2.0]])
    student = teacher + torch.tensor([[0.0, 0.0], [1.0, -1.0], [0.0, 3.0], [0.0, 0.0]])
    torch.testing.assert_close(feature_error(student, teacher), torch.tensor([0.0, 0.4, 1.8, 0.0]))


@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3))
def test_features_in_other_units_err_as_much(seed: int, scale: float) -> None:
    student, teacher = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(feature_error(scale * student, scale * teacher), feature_error(student, teacher))


def test_an_example_alone_errs_by_a_share_of_what_it_is() -> None:
    teacher = torch.tensor([[3.0, 4.0]])
    assert feature_error(teacher, teacher).tolist() == [0.0]
    torch.testing.assert_close(feature_error(teacher + 1, teacher), torch.tensor([2 / 25]))


@pytest.mark.parametrize("scale", [0.0, 1e-24, 1e-15])
def test_dead_features_teach_nothing(scale: float) -> None:
    # What a MobileNetV2 of random weights makes of any image is 1e-24; one step of training makes more of it.
    student = torch.full((4, 6), 1e-4, requires_grad=True)
    feature_error(student, scale * torch.randn(4, 6)).sum().backward()
    assert student.grad is not None
    assert not student.grad.any()


def test_misdirection_is_0_along_1_across_and_2_against() -> None:
    teacher = torch.tensor([[0.0, 3.0]] * 3)
    student = torch.tensor([[0.0, 1e-4], [5.0, 0.0], [0.0, -2.0]])
    torch.testing.assert_close(misdirection(student, teacher), torch.tensor([0.0, 1.0, 2.0]))


@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3))
def test_misdirection_knows_no_length(seed: int, scale: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, 4, 6, generator=draw)
    torch.testing.assert_close(misdirection(student, teacher), misdirection(scale * student, teacher))


def test_a_task_that_the_teacher_has_solved_has_no_direction() -> None:
    assert misdirection(torch.randn(2, 3), torch.zeros(2, 3)).tolist() == [0.0, 0.0]


def test_gradients_are_those_of_the_task_at_the_features() -> None:
    # Of a linear head they are (softmax(logits) - onehot(y)) W.
    torch.manual_seed(0)
    head = torch.nn.Linear(6, 3)
    student, teacher, y = torch.randn(5, 6, requires_grad=True), torch.randn(5, 6), torch.tensor([0, 1, 2, 0, 1])
    terms = terms_of(parse_recipe("gradient"), Seen(student, head(student), teacher, head(teacher).detach(), y, head))
    by_hand = [(F.softmax(head(f), -1) - F.one_hot(y, 3)) @ head.weight for f in (student, teacher)]
    torch.testing.assert_close(terms["gradient"].each, misdirection(*by_hand))
    assert terms["gradient"].values == 6
    terms["gradient"].each.sum().backward()
    assert student.grad is not None
    assert student.grad.norm() > 0


def test_a_student_that_is_the_teacher_has_nothing_to_learn_but_the_labels() -> None:
    head, features, y = torch.nn.Linear(4, 3), torch.randn(7, 4, requires_grad=True), torch.randint(3, (7,))
    seen = Seen(features, head(features), features.detach(), head(features).detach(), y, head)
    terms = terms_of(parse_recipe("kd+features+gradient"), seen)
    torch.testing.assert_close(terms["kd"].each, torch.zeros(7), atol=1e-5, rtol=0)
    torch.testing.assert_close(terms["gradient"].each, torch.zeros(7), atol=1e-5, rtol=0)
    torch.testing.assert_close(terms["features"].each, torch.zeros(7), atol=1e-5, rtol=0)
    torch.testing.assert_close(terms["task"].each.mean(), F.cross_entropy(head(features), y))
