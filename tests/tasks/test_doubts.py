"""What nobody means by examples is said in one sentence."""

import pytest
import torch

from toolkit.tasks import Examples
from toolkit.tasks.doubts import doubts

X = torch.arange(6.0).reshape(6, 1)


def said(rows: list[int], labels: list[int], classes: tuple[str, ...] = ("a", "b")) -> list[str]:
    return doubts(Examples(X[rows], torch.tensor(labels)), classes, "examples")


@pytest.mark.parametrize(
    ("rows", "labels"), [([0, 1, 2], [0, 1, 0]), ([0, 0, 1], [1, 1, 0]), ([3], [0]), ([-1, 1], [0, 1])]
)
def test_of_what_may_be_meant_nothing_is_said(rows: list[int], labels: list[int]) -> None:
    assert said(rows, labels) == []


def test_equal_examples_with_different_labels_are_told() -> None:
    assert said([0, 1, 2, 1], [0, 0, 1, 1]) == [
        "examples 1 and 3 are the same but labelled a and b: one label of each is wrong"
    ]
    assert said([0, 1, 2, 1, 0, 0], [0, 0, 1, 1, 1, 0]) == [
        "examples 1 and 3 are the same but labelled a and b, and 1 more like them: one label of each is wrong"
    ]


def test_examples_that_are_all_the_same_are_told() -> None:
    assert said([2, 2, 2], [0, 1, 0]) == ["all examples are the same: nothing can be learned from them"]


def test_targets_that_are_no_classes_may_differ() -> None:
    assert said([0, 1, 0], [0, 1, 2], ()) == []
