"""A student that trains as its int8 program will compute, and is brought into the form of that program as it trains."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from toolkit.compression import make_bases_orthonormal
from toolkit.distillation.fake_quantise import fake_quantised, quantised_layers
from toolkit.distillation.ranges import read_ranges
from toolkit.runtimes.arithmetic import Quantisation
from toolkit.runtimes.examples import drawn

# In a training ranges are read so often, where that is no more than so many of the examples that it trains on: each of
# those takes four passes through the network, one that is read takes one.
_TIMES, _MOST_READ = 20, 0.4


@dataclass(frozen=True)
class Rounding:
    """How a student is rounded. `ranges` and `done`, the steps so far, change in place and belong in a checkpoint.

    Every so many steps ranges are read as the export will read them, of the weights as they are by then. `orthonormal`
    says that the bases of compact layers train, too: what is deployed has them orthonormal, and another form of the
    same product is rounded to other values.
    """

    student: nn.Module
    quantisation: Quantisation
    ranges: dict[str, torch.Tensor]
    done: torch.Tensor
    every: int
    orthonormal: bool

    @property
    def buffers(self) -> list[torch.Tensor]:
        """What changes from step to step."""
        return [*self.ranges.values(), self.done]


def start_rounding(
    student: nn.Module, quantisation: Quantisation, steps: int, batch: int, *, orthonormal: bool
) -> Rounding | None:
    """For a training of so many steps of `batch` examples; None where no layer runs in int8."""
    if not quantised_layers(student, quantisation):
        return None
    ranges, done = read_ranges(student, quantisation), torch.zeros((), dtype=torch.int64)
    worth_it = math.ceil(len(drawn(quantisation.examples)) / (_MOST_READ * batch))
    return Rounding(student, quantisation, ranges, done, max(1, steps // _TIMES, worth_it), orthonormal)


@contextmanager
def rounded(rounding: Rounding | None) -> Iterator[None]:
    """Inside, the student computes rounded; None leaves it as it is."""
    if rounding is None:
        yield
        return
    with fake_quantised(rounding.student, rounding.quantisation, rounding.ranges):
        yield


def count_step(rounding: Rounding) -> None:
    """To be called before each step; gives the student its deployed form when it is time."""
    if int(rounding.done) and int(rounding.done) % rounding.every == 0:
        as_deployed(rounding)
    rounding.done.add_(1)


def as_deployed(rounding: Rounding) -> None:
    """Give the student the form in which it is deployed, with the ranges that it then has."""
    if rounding.orthonormal:
        make_bases_orthonormal(rounding.student)
    for name, limits in read_ranges(rounding.student, rounding.quantisation).items():
        rounding.ranges[name].copy_(limits)
