"""A user's dense model, seen as a backbone that makes features and a linear head that reads them."""

import copy
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from toolkit.errors import BadInput, first_line
from toolkit.inputs import Inputs
from toolkit.surroundings import is_touched

# What a forward raises that does not suit its input, its own modules or the exporter.
MISFIT = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError)
# Of these, what no input mends.
_OWN_FAULTS = (NotImplementedError, KeyError, AttributeError)


@dataclass(frozen=True)
class Network:
    """`head(backbone(*x))`; `backbone` maps inputs x of N examples to features (N, feature_size).

    `head` is the last layer, of a classifier that over its general classes, of a network for pixels a Conv2d. It is
    None where the model ends in neither: then its outputs are the features.
    """

    backbone: nn.Module
    head: nn.Linear | nn.Conv2d | None
    feature_size: int


# What reads features: outputs that no such layer ends in are read as they are.
Reader = nn.Linear | nn.Conv2d | nn.Identity


class SparesItsInput(nn.Module):
    """A model that edits its input in place, given a copy."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *x: torch.Tensor) -> torch.Tensor:
        """What the model makes of copies of `x`."""
        return self.model(*(each.clone() for each in x))


@torch.no_grad()
def spare_input(model: nn.Module, inputs: Inputs) -> nn.Module:
    """The model, behind a copy of its inputs where it edits one of them."""
    tried = [each.clone() for each in inputs]
    try:
        model(*tried)
    except MISFIT:
        return model  # `require_answers` says why
    return model if all(map(torch.equal, tried, inputs)) else SparesItsInput(model)


@torch.no_grad()
def require_answers(model: nn.Module, inputs: Inputs) -> None:
    """`inputs` are some that the model must classify, each alone as beside others, and always alike.

    Raises BadInput for a model that takes one at a time, is random, mixes the examples of a batch, answers NaN, or
    keeps a state from one call to the next.
    """
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    if _answer(model, inputs[:1]) is None or (together := _answer(model, inputs)) is None:
        return
    if not torch.isfinite(together).all():
        raise BadInput("the model answers NaN or infinity", where="model", next="Give inputs of the scale it learned.")
    if written := [name for name, buffer in model.named_buffers() if not torch.equal(before[name], buffer)]:
        raise BadInput(
            f"the model writes '{written[0]}' at every call: on a board nothing is kept from one call to the next",
            where="model",
            next="Write it only while training: if self.training: ...",
        )
    again = _answer(model, inputs)
    if again is None or not _alike(again, together):
        raise BadInput(
            "the model answers the same inputs differently each time",
            where="model",
            next="Leave out of its forward what is random when it is not being trained.",
        )
    alone = torch.cat([answer for x in inputs.split(1) if (answer := _answer(model, x)) is not None])
    if not _alike(alone, together):
        raise BadInput(
            "the model answers otherwise to an input alone than to the same input beside others",
            where="model",
            next="Normalise by statistics that training left (BatchNorm in eval mode), not by those of a batch.",
        )


def _answer(model: nn.Module, inputs: Inputs) -> torch.Tensor | None:
    """None where it is no tensor with a row an example: `split_head` says so."""
    try:
        output = model(*inputs)
    except MISFIT as error:
        if len(inputs) == 1:
            return None
        raise BadInput(
            f"the model does not take {len(inputs)} inputs at once, {_shapes(inputs)}: {first_line(error)}",
            where="model",
            next="Keep the batch dimension: x.flatten(1) instead of x.view(1, ...).",
        ) from None
    has_rows = isinstance(output, torch.Tensor) and output.dim() > 0 and len(output) == len(inputs)
    return output if has_rows else None


def _shapes(inputs: Inputs) -> str:
    """(4, 3, 32, 32), and with their names where there are several."""
    shapes = {name: str(tuple(each.shape)) for name, each in inputs.tensors.items()}
    return ", ".join(shapes.values() if len(shapes) == 1 else (f"{name} {shape}" for name, shape in shapes.items()))


def _alike(some: torch.Tensor, others: torch.Tensor) -> bool:
    return torch.allclose(some, others, rtol=1e-3, atol=1e-3 * float(others.abs().max()))


@torch.no_grad()
def split_head(model: nn.Module, example: Inputs, *, vectors: bool = True) -> Network:
    """Part the model at its last Linear, or Conv2d unless it gives `vectors`. `example` are the inputs of one example.

    Raises BadInput if the model does not take that input, or does not give one tensor: where `vectors`, one an example.
    """
    kinds = nn.Linear if vectors else (nn.Linear, nn.Conv2d)
    if isinstance(model, kinds):
        model = nn.Sequential(OrderedDict(features=nn.Identity(), head=model))
    called: list[str] = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    try:
        output = model(*example)
    except _OWN_FAULTS as error:
        raise BadInput(
            f"its forward raises {type(error).__name__}: {first_line(error)}",
            where="model",
            next="Mend it so that model(x) answers the task's inputs.",
        ) from None
    except MISFIT as error:
        raise BadInput(
            f"the model does not take an input of shape {_shapes(example)}: {first_line(error)}",
            where="task and model",
            next="Give the task's inputs the shape and scale that the model was trained on.",
        ) from None
    finally:
        for handle in handles:
            handle.remove()
    is_tensor = isinstance(output, torch.Tensor) and output.dim() > 0 and len(output) == 1
    if not is_tensor or (vectors and output.dim() != 2):
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise BadInput(
            f"its output is {shape}, expected {'logits (N, classes)' if vectors else 'one tensor (N, ...)'}",
            where="model",
            next="Give one vector an example, or a task for each place of an example."
            if isinstance(output, torch.Tensor)
            else "Wrap it so that it returns one tensor.",
        )
    for name in dict.fromkeys(reversed(called)):
        backbone = copy.deepcopy(model)
        head = backbone.get_submodule(name)
        parent, _, attribute = name.rpartition(".")
        if not isinstance(head, nn.Linear | nn.Conv2d) or is_touched(head):
            continue
        setattr(backbone.get_submodule(parent), attribute, nn.Identity())
        try:
            features = backbone(*example)
            ends_here = features.dim() == output.dim() and torch.allclose(head(features), output, atol=1e-5)
        except MISFIT:
            ends_here = False  # not the last layer: what follows wants its output's size, or its weight
        if ends_here and _is_last(model, name, example, output):
            return Network(backbone, _with_bias(head), features[0].numel())
    return Network(copy.deepcopy(model), None, output[0].numel())


def _with_bias(head: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    """A board learns a bias, too: of a head without one it starts from zero."""
    if head.bias is None:
        head.bias = nn.Parameter(torch.zeros(len(head.weight)), requires_grad=head.weight.requires_grad)
    return head


def _is_last(model: nn.Module, name: str, example: Inputs, output: torch.Tensor) -> bool:
    """Whether the output is linear in that layer's output: a rectifier after it may change nothing on one example."""
    negated = copy.deepcopy(model)
    for parameter in negated.get_submodule(name).parameters():
        parameter.neg_()
    return torch.allclose(negated(*example), -output, atol=1e-5)
