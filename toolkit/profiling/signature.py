"""Signature: the shape of one layer under one choice. Two layers of one signature cost the same on a board."""

import re
from dataclasses import dataclass
from math import prod
from typing import Literal

from torch import nn

from toolkit.choice import Choice
from toolkit.runtimes.arithmetic import FP32, Arithmetic, parse_arithmetic

_CHOICE = r"(dense|rank [1-9]\d*)(?: (fp16|int8 \w+))?"
_LINEAR = re.compile(rf"linear (\d+)->(\d+)( bias)? on ([\dx]+): {_CHOICE}")
_CONV = re.compile(
    r"conv2d ([\dx]+) (\d+)->(\d+)( bias)?( groups \d+)? stride ([\dx]+) padding (\S+) dilation ([\dx]+) (\w+) "
    rf"on ([\dx]+): {_CHOICE}"
)


@dataclass(frozen=True)
class Signature:
    """`inputs` and `outputs` count features or channels; rank None is dense. Its text is the key in profiles."""

    op: Literal["linear", "conv2d"]
    inputs: int
    outputs: int
    bias: bool
    input_shape: tuple[int, ...]
    rank: int | None
    kernel: tuple[int, ...] = (1, 1)
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] | str = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    padding_mode: str = "zeros"
    groups: int = 1
    arithmetic: Arithmetic = FP32

    def __str__(self) -> str:
        bias = " bias" if self.bias else ""
        choice = "dense" if self.rank is None else f"rank {self.rank}"
        choice = choice if self.arithmetic == FP32 else f"{choice} {self.arithmetic}"
        if self.op == "linear":
            return f"linear {self.inputs}->{self.outputs}{bias} on {_join(self.input_shape)}: {choice}"
        groups = f" groups {self.groups}" if self.groups > 1 else ""
        padding = self.padding if isinstance(self.padding, str) else _join(self.padding)
        return (
            f"conv2d {_join(self.kernel)} {self.inputs}->{self.outputs}{bias}{groups} stride {_join(self.stride)} "
            f"padding {padding} dilation {_join(self.dilation)} {self.padding_mode} "
            f"on {_join(self.input_shape)}: {choice}"
        )

    @property
    def family(self) -> str:
        """The layer without its choice: ranks of one family lie on one curve."""
        return str(self).rpartition(":")[0]

    @property
    def kind(self) -> str:
        """What runtimes have one kernel for: linear, 1 x 1 convolution, any other convolution."""
        if self.op == "linear":
            return "linear"
        return "conv 1x1" if prod(self.kernel) == 1 else "conv kxk"

    @property
    def input_positions(self) -> int:
        """Rows of a linear layer's input; pixels of a convolution's."""
        return prod(self.input_shape) // self.inputs

    @property
    def output_positions(self) -> int:
        """Rows that a linear layer computes; pixels of a convolution's output."""
        if self.op == "linear":
            return self.input_positions
        return self.input_shape[0] * prod(self._extent(axis) for axis in (0, 1))

    def _extent(self, axis: int) -> int:
        size = self.input_shape[2 + axis]
        if self.padding == "same":
            return size
        padding = 0 if isinstance(self.padding, str) else self.padding[axis]
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (size + 2 * padding - reach) // self.stride[axis] + 1


def signature_of(
    layer: nn.Linear | nn.Conv2d, input_shape: tuple[int, ...], choice: Choice, arithmetic: Arithmetic = FP32
) -> Signature:
    """The signature of that layer on inputs of that shape (batch dimension first) under that choice, so computed."""
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return Signature(
            "linear", layer.in_features, layer.out_features, bias, input_shape, choice.size, arithmetic=arithmetic
        )
    return Signature(
        "conv2d",
        layer.in_channels,
        layer.out_channels,
        bias,
        input_shape,
        choice.size,
        tuple(layer.kernel_size),
        tuple(layer.stride),
        layer.padding if isinstance(layer.padding, str) else tuple(layer.padding),
        tuple(layer.dilation),
        layer.padding_mode,
        layer.groups,
        arithmetic,
    )


def parse_signature(text: str) -> Signature | None:
    """The signature with that text; None for any other text, such as the key of a whole program."""
    if found := _LINEAR.fullmatch(text):
        inputs, outputs, bias, shape, choice, computed = found.groups()
        if (arithmetic := _arithmetic(computed)) is None:
            return None
        return Signature(
            "linear", int(inputs), int(outputs), bool(bias), _split(shape), _rank(choice), arithmetic=arithmetic
        )
    if found := _CONV.fullmatch(text):
        kernel, inputs, outputs, bias, groups, stride, padding, dilation, mode, shape, choice, computed = found.groups()
        if (arithmetic := _arithmetic(computed)) is None:
            return None
        return Signature(
            "conv2d",
            int(inputs),
            int(outputs),
            bool(bias),
            _split(shape),
            _rank(choice),
            _split(kernel),
            _split(stride),
            _split(padding) if padding[0].isdigit() else padding,
            _split(dilation),
            mode,
            int(groups.removeprefix(" groups ")) if groups else 1,
            arithmetic,
        )
    return None


def _join(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))


def _split(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x")))


def _rank(choice: str) -> int | None:
    return None if choice == "dense" else int(choice.removeprefix("rank "))


def _arithmetic(text: str | None) -> Arithmetic | None:
    """None for a text that names none."""
    try:
        return FP32 if text is None else parse_arithmetic(text)
    except ValueError:
        return None
