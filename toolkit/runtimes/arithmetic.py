"""Arithmetic: in what numbers a program computes; Quantisation: which of its layers do, and from which examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from toolkit.choice import Precision
from toolkit.inputs import Inputs

# How activations become int8: to -128..127 or 0..255 by ranges known beforehand, or by ranges found at each call.
Activations = Literal["signed", "unsigned", "dynamic"]
Ranges = Literal["minmax", "percentile", "entropy"]


@dataclass(frozen=True)
class Arithmetic:
    """A precision and, for int8, the form of its activations: a board may run one form at twice the speed of another.

    `str` of it is stable: "fp32", "fp16", "int8 signed". Raises ValueError for a form without int8, and the reverse.
    """

    precision: Precision = "fp32"
    activations: Activations | None = None

    def __post_init__(self) -> None:
        if (self.precision == "int8") != (self.activations is not None):
            raise ValueError(f"{self.precision} with activations {self.activations}")

    def __str__(self) -> str:
        return self.precision if self.activations is None else f"{self.precision} {self.activations}"


FP32 = Arithmetic()


def parse_arithmetic(text: str) -> Arithmetic:
    """What `str` wrote. Raises ValueError if it is none."""
    for each in (FP32, Arithmetic("fp16"), *(Arithmetic("int8", form) for form in get_args(Activations))):
        if str(each) == text:
            return each
    raise ValueError(f"not an arithmetic: {text!r}")


def number_type(arithmetic: Arithmetic) -> str:
    """NumPy type of what stands between two layers in this arithmetic: a dynamic program converts in every layer."""
    if arithmetic.precision == "fp16":
        return "float16"
    return {"signed": "int8", "unsigned": "uint8"}.get(arithmetic.activations or "", "float32")


@dataclass(frozen=True)
class Quantisation:
    """How a program leaves fp32.

    `examples` are what its activations' ranges are read from; `fp32_layers` names modules
    that stay as they are.
    """

    arithmetic: Arithmetic
    examples: Inputs
    ranges: Ranges = "minmax"
    fp32_layers: frozenset[str] = frozenset()


def without_int8(names: Sequence[str], runtime: str) -> str:
    """What to say of layers and kinds of operators that a runtime left in fp32, though int8 was asked for."""
    return f"{', '.join(names)} stay fp32: {runtime} has no int8 for them"
