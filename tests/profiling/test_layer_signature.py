"""What tells two layers apart, and that its text says all of it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from toolkit.choice import DENSE, Choice, rank
from toolkit.profiling.signature import Signature, parse_signature, signature_of
from toolkit.runtimes.arithmetic import FP32, Arithmetic

small = st.integers(1, 9)
choices = st.just(DENSE) | st.builds(rank, st.integers(1, 64))
arithmetics = st.sampled_from(
    (FP32, Arithmetic("fp16"), *(Arithmetic("int8", form) for form in ("signed", "unsigned", "dynamic")))
)
convolutions = st.builds(
    lambda i, o, kernel, stride, padding, dilation, bias: nn.Conv2d(
        i, o, kernel, stride if padding != "same" else 1, padding, dilation, bias=bias
    ),
    small,
    small,
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["same", "valid"]) | st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.integers(1, 2),
    st.booleans(),
)


def test_layers_of_one_shape_share_a_signature_of() -> None:
    assert signature_of(nn.Linear(8, 4), (1, 8), rank(2)) == signature_of(nn.Linear(8, 4), (1, 8), rank(2))


@pytest.mark.parametrize(
    ("one", "other", "shape"),
    [
        (nn.Linear(8, 4), nn.Linear(8, 4, bias=False), (1, 8)),
        (nn.Linear(8, 4), nn.Linear(8, 5), (1, 8)),
        (nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3, stride=2), (1, 2, 8, 8)),
        (nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3, padding=1), (1, 2, 8, 8)),
        (nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3, dilation=2), (1, 2, 8, 8)),
        (nn.Conv2d(2, 4, (1, 9)), nn.Conv2d(2, 4, (9, 1)), (1, 2, 9, 9)),
        (nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), (1, 2, 8, 8)),
    ],
)
def test_what_moves_the_time_is_in_the_signature_of(
    one: nn.Linear | nn.Conv2d, other: nn.Linear | nn.Conv2d, shape: tuple[int, ...]
) -> None:
    assert signature_of(one, shape, DENSE) != signature_of(other, shape, DENSE)
    assert signature_of(one, shape, DENSE) != signature_of(one, shape, rank(8))
    assert signature_of(one, shape, DENSE) != signature_of(one, (2, *shape[1:]), DENSE)


@given(convolutions, choices, arithmetics)
def test_a_convolutions_text_says_all(layer: nn.Conv2d, choice: Choice, arithmetic: Arithmetic) -> None:
    x = torch.zeros(2, layer.in_channels, 19, 17)
    made = signature_of(layer, tuple(x.shape), choice, arithmetic)
    assert parse_signature(str(made)) == made
    assert made.output_positions == layer(x).numel() // layer.out_channels
    assert made.input_positions == 2 * 19 * 17


@given(small, small, st.lists(small, min_size=1, max_size=3), choices, st.booleans(), arithmetics)
def test_a_linear_layers_text_says_all(
    i: int, o: int, shape: list[int], choice: Choice, bias: bool, arithmetic: Arithmetic
) -> None:
    made = signature_of(nn.Linear(i, o, bias=bias), (*shape, i), choice, arithmetic)
    assert parse_signature(str(made)) == made
    assert made.output_positions == torch.Size(shape).numel()


@given(st.text())
def test_any_other_text_is_no_signature(text: str) -> None:
    assert parse_signature(text) is None
    assert parse_signature(f"program {text}") is None


def test_a_depthwise_convolution_is_told_apart_and_others_read_as_they_did() -> None:
    layer = nn.Conv2d(8, 8, 3, groups=8, bias=False)
    made = signature_of(layer, (1, 8, 6, 6), DENSE)
    assert parse_signature(str(made)) == made
    assert made.groups == 8
    dense = signature_of(nn.Conv2d(8, 8, 3, bias=False), (1, 8, 6, 6), DENSE)
    assert str(dense) == "conv2d 3x3 8->8 stride 1x1 padding 0x0 dilation 1x1 zeros on 1x8x6x6: dense"
    assert str(made) == str(dense).replace("8->8", "8->8 groups 8")


def test_an_arithmetic_that_there_is_not_makes_no_signature() -> None:
    text = str(signature_of(nn.Linear(8, 4), (1, 8), DENSE, Arithmetic("int8", "signed")))
    assert text == "linear 8->4 bias on 1x8: dense int8 signed"
    assert parse_signature(text.replace("signed", "rounded")) is None


def test_ranks_of_one_layer_are_one_family() -> None:
    made: list[Signature] = [signature_of(nn.Linear(8, 4), (1, 8), choice) for choice in (DENSE, rank(2))]
    assert made[0].family == made[1].family == "linear 8->4 bias on 1x8"
