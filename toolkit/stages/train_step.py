"""What a board can train of a network in its runtime: cores and head, or the head alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from toolkit.adaptation import trace_train_step
from toolkit.errors import BadInput, first_line
from toolkit.quiet import quiet
from toolkit.runtimes import Program, Runtime
from toolkit.runtimes.bundle import trainable_names

HEAD = ("head.weight", "head.bias")


@dataclass(frozen=True)
class TrainStep:
    """The program and the tensors that it moves; `hindrance` says what is less than it could be, and why."""

    program: Program
    trainables: tuple[str, ...]
    hindrance: str | None = None


def export_train_step(
    runtime: Runtime, backbone: nn.Module, head: nn.Linear, x: torch.Tensor, classes: int
) -> TrainStep:
    """One step on batches shaped like `x` (N, *input_shape), of as much as can be had.

    A network that cannot be traced as it is written (it branches on a mask, or has a gradient of its own) can be as it
    was exported: by the gradients of its formulas. Where its gradient has no counterpart in the runtime, the head
    learns by itself: that needs no gradient of the backbone. Raises BadInput where not even that can be had.
    """
    network = nn.Sequential()
    network.add_module("backbone", backbone)
    network.add_module("head", head)
    hindrance: str | None = None
    for trainables, model in _attempts(network.eval(), trainable_names(backbone), x):
        try:
            program = runtime.export(trace_train_step(model(), trainables, x, classes), ())
        except Exception as error:  # tracers and exporters raise what they like
            hindrance = hindrance or first_line(error)
            continue
        if hindrance and trainables != trainable_names(backbone):
            hindrance = f"the head alone learns: {hindrance}"
        elif hindrance:
            hindrance = f"cores learn by the gradients of the exported graph, not by one's own: {hindrance}"
        return TrainStep(program, trainables, hindrance)
    raise BadInput(
        f"{runtime.name} can train nothing of it: {hindrance}", where="model", next="Give another --runtime."
    )


def _attempts(
    network: nn.Module, every: tuple[str, ...], x: torch.Tensor
) -> Iterator[tuple[tuple[str, ...], Callable[[], nn.Module]]]:
    def exported() -> nn.Module:
        with torch.no_grad(), quiet():
            return torch.export.export(network, (x,)).module()

    yield every, lambda: network
    yield every, exported
    if every != HEAD:
        yield HEAD, exported
