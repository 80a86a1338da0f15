"""Nothing added is a copy of the other term; whatever is computed with nothing is nothing."""

import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from toolkit.compression.depth.nothing import Nothing

ADDITIONS: list[Callable[[Any, Any], Any]] = [
    operator.add,
    operator.iadd,
    torch.add,
    lambda x, y: torch.add(input=x, other=y),
    lambda x, y: torch.add(x, y, alpha=1),
]
OPERATIONS: list[Callable[[Any], Any]] = [
    lambda nothing: nothing * torch.ones(3),
    lambda nothing: torch.ones(3) * nothing,
    lambda nothing: 0.5 * nothing / 2,
    lambda nothing: nothing[0],
    lambda nothing: nothing.permute(0, 2, 1).reshape(2, -1).contiguous(),
    lambda nothing: F.dropout(nothing, 0.1, training=True),
    lambda nothing: torch.cat([nothing, torch.ones(3)]),
    nn.ReLU(inplace=True),
    nn.LayerNorm(3),
]


@pytest.mark.parametrize("add", ADDITIONS)
def test_nothing_added_leaves_a_new_tensor_that_can_be_changed(add: Callable[[Any, Any], Any]) -> None:
    for swapped in (False, True):
        x = torch.randn(3)
        total = add(Nothing(), x) if swapped else add(x, Nothing())
        assert torch.equal(total, x)
        total.zero_()
        assert x.abs().sum() > 0


@pytest.mark.parametrize("add", ADDITIONS)
def test_nothing_added_to_nothing_is_nothing(add: Callable[[Any, Any], Any]) -> None:
    assert isinstance(add(Nothing(), Nothing()), Nothing)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_computed_with_nothing_is_nothing(operation: Callable[[Any], Any]) -> None:
    assert isinstance(operation(Nothing()), Nothing)


@pytest.mark.parametrize("name", ["shape", "dtype", "device", "weight", "__len__"])
def test_nothing_has_no_shape_and_no_type(name: str) -> None:
    with pytest.raises(AttributeError):
        getattr(Nothing(), name)


def test_the_gradient_of_a_sum_with_nothing_is_one() -> None:
    x = torch.randn(3, requires_grad=True)
    (x + Nothing()).relu_().sum().backward()
    assert torch.equal(x.grad, (x > 0).float())  # type: ignore[arg-type]
