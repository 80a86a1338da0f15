"""What a board can train of a network in its runtime: cores and head, or the head alone."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from toolkit.adaptation.heads import HeadStart
from toolkit.adaptation.learning_graphs import fresh_state, trace_gradient, trace_judge, trace_update
from toolkit.adaptation.ridge import trace_ridge
from toolkit.errors import BadInput, first_line
from toolkit.inputs import Inputs, inputs_of
from toolkit.models import Reader
from toolkit.objectives import Objective
from toolkit.quiet import quiet
from toolkit.runtimes import Program, Runtime
from toolkit.runtimes.bundle import HEAD, trainable_names
from toolkit.runtimes.learning import Learning

# Examples in a batch, and values that their layers put out: these lie in memory all at once, and more are no faster. A
# step of the keyword network takes 23 MB with four examples a batch and 90 MB with 32, and a fifth less time.
_MOST, _MOST_VALUES, _FEWEST = 32, 2**21, 2
# What a head is fitted to; of wide features the work grows with its cube: half a billion multiplications by 256.
_MOST_STARTED, _MOST_WIDE, _MOST_FEATURES = 512, 256, 2**20


def export_learning(
    runtime: Runtime,
    backbone: nn.Module,
    head: Reader,
    start: HeadStart,
    inputs: Inputs,
    targets: torch.Tensor,
    objective: Objective,
) -> Learning:
    """The programs by which a board learns from examples like these, of as much as can be had.

    A network that cannot be traced as it is written (it branches on a mask, or has a gradient of its own) can be as it
    was exported: by the gradients of its formulas. Where its gradient has no counterpart in the runtime, the head
    learns by itself: that needs no gradient of the backbone. Raises BadInput where not even that can be had.
    """
    network = _Whole(backbone, head)
    size = batch_size(network, inputs)
    batch = inputs[:size], targets[:size]
    every = trainable_names(backbone, head)
    trainables, gradient, hindrance = _gradient(runtime, network.eval(), every, *batch, objective)
    values = [network.get_parameter(name).detach() for name in trainables]
    judge = _judge(runtime, network, *batch, objective)
    starting = None
    # More than it was exported with: whoever uses the board brings further examples.
    width = head.in_features if isinstance(head, nn.Linear) else _MOST_FEATURES + 1
    most = max(len(inputs), min(_MOST_STARTED if width <= _MOST_WIDE else _MOST_WIDE, _MOST_FEATURES // width))
    if start == "fitted" and isinstance(head, nn.Linear):
        starting = trace_ridge(head.in_features, head.out_features, most)
    return Learning(
        gradient=gradient,
        update=runtime.export(trace_update(values), ()),
        judge=judge,
        start=runtime.export(starting, ()) if starting is not None else None,
        batch=size,
        most=most,
        trainables=trainables,
        starts=HEAD if starting is not None else (),
        state=tuple(tuple(each.shape) for each in fresh_state(values)),
        target=inputs_of({"y": targets}).ports[0],
        hindrance=hindrance,
    )


class _Whole(nn.Module):
    """Both under the names that trainables have."""

    def __init__(self, backbone: nn.Module, head: Reader) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.head(self.backbone(*inputs))
        return outputs


def batch_size(network: nn.Module, inputs: Inputs) -> int:
    """How many examples a gradient is taken of at once: all in as many equal parts as it takes."""
    parts = math.ceil(len(inputs) / min(_MOST, max(_MOST_VALUES // _values_between(network, inputs[:1]), _FEWEST)))
    return math.ceil(len(inputs) / parts)


class _Counted(TorchDispatchMode):
    """How many values operators make, that are not a view of others."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.values += sum(each.numel() for each in tree_leaves(made) if isinstance(each, torch.Tensor))
        return made


def _values_between(network: nn.Module, example: Inputs) -> int:
    """How many values go into it, and out of each of its operators."""
    with torch.no_grad(), _Counted() as counted:
        network.eval()(*example)
    return counted.values + sum(each.numel() for each in example)


def _gradient(
    runtime: Runtime,
    network: nn.Module,
    every: tuple[str, ...],
    inputs: Inputs,
    targets: torch.Tensor,
    objective: Objective,
) -> tuple[tuple[str, ...], Program, str | None]:
    """What is trained, by which program, and what hinders more."""
    hindrance: str | None = None
    for trainables, model in _attempts(network, every, inputs):
        try:
            program = runtime.export(trace_gradient(model(), trainables, inputs, targets, objective), ())
        except Exception as error:  # tracers and exporters raise what they like
            hindrance = hindrance or first_line(error)
            continue
        if hindrance and trainables != every:
            hindrance = f"the head alone learns: {hindrance}"
        elif hindrance:
            hindrance = f"cores learn by the gradients of the exported graph, not by one's own: {hindrance}"
        return trainables, program, hindrance
    why = hindrance or "it has neither compact layers nor a last nn.Linear"
    raise BadInput(f"{runtime.name} can train nothing of it: {why}", where="model", next="Give another --runtime.")


@torch.no_grad()
def _judge(
    runtime: Runtime, network: nn.Module, inputs: Inputs, targets: torch.Tensor, objective: Objective
) -> Program:
    try:
        return runtime.export(trace_judge(objective, network(*inputs), targets), ())
    except Exception as error:  # an objective may be the user's: what it raises, as what tracers do, is anything
        raise BadInput(
            f"{runtime.name} cannot score by {type(objective).__name__}: {first_line(error)}",
            where="task.objective",
            next="Write score and judgement as torch operations alone.",
        ) from None


def _attempts(
    network: nn.Module, every: tuple[str, ...], inputs: Inputs
) -> Iterator[tuple[tuple[str, ...], Callable[[], nn.Module]]]:
    def exported() -> nn.Module:
        with torch.no_grad(), quiet():
            return torch.export.export(network, tuple(inputs)).module()

    if every:
        yield every, lambda: network
        yield every, exported
    if set(every) > set(HEAD):
        yield HEAD, exported
