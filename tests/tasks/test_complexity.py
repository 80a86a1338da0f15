"""Complexity says what a drawing of the task would show."""

import pytest
import torch

from toolkit.tasks import complexity_of

LABELS = torch.arange(3).repeat_interleave(2)


def test_an_equilateral_triangle_of_pairs() -> None:
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])
    features = corners.repeat_interleave(2, 0) + torch.tensor([[0.0, 0.1], [0.0, -0.1]]).repeat(3, 1)
    found = complexity_of(features, LABELS, 3)
    assert (found.ways, found.shots) == (3, 2)
    assert found.separability == pytest.approx(1)  # all sides are 1
    assert found.scatter == pytest.approx(0.1)
    assert found.intrinsic_dimension == pytest.approx(2)  # two equal eigenvalues


def test_classes_on_a_line_have_one_dimension_and_close_ones_are_hard_to_tell_apart() -> None:
    features = torch.tensor([0.0, 0.1, 10.0])[:, None] * torch.tensor([[1.0, 2.0, 3.0]])
    found = complexity_of(features, torch.arange(3), 3)
    assert found.intrinsic_dimension == pytest.approx(1)
    assert found.scatter == 0  # one example a class
    # nearest: 0.1, 0.1, 9.9; sides: 0.1, 10, 9.9
    assert found.separability == pytest.approx((10.1 / 3) / (20 / 3), rel=1e-6)


def test_features_that_are_all_alike_are_no_error() -> None:
    found = complexity_of(torch.ones(6, 4), LABELS, 3)
    assert (found.separability, found.scatter, found.intrinsic_dimension) == (0, 0, 1)
