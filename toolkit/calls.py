"""How a user's model is called with the task's inputs, and which of its outputs is the answer."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from toolkit.errors import BadInput
from toolkit.inputs import ONE_TENSOR, Inputs
from toolkit.models import MISFIT

_ANSWER = "logits"
_OPEN_ENDED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Called(nn.Module):
    """A model that is called with the inputs `names`, by position if there are none, and whose `answer` is taken."""

    def __init__(self, model: nn.Module, names: tuple[str, ...], answer: str | int | None) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.answer = answer

    def forward(self, *x: torch.Tensor) -> Any:
        """The output called `answer`, or at that place; all of it, if that is None."""
        output = self.model(**dict(zip(self.names, x, strict=True))) if self.names else self.model(*x)
        return output if self.answer is None else _part(output, self.answer)

    def extra_repr(self) -> str:
        """How it is called and what is taken: the text of a model is part of what names cached results."""
        return f"names={self.names}, answer={self.answer!r}"


@dataclass(frozen=True)
class Fitted:
    """A model that is called by position and gives one output; `notes` say which, where it gave several."""

    model: nn.Module
    notes: tuple[str, ...] = ()


@torch.no_grad()
def fit_to_inputs(model: nn.Module, example: Inputs) -> Fitted:
    """The model as all else calls it, with the inputs of one `example`: itself where it can be called so.

    Raises BadInput for an input that its forward has no parameter for, and for a parameter that nothing feeds.
    """
    names = _by_name(model, tuple(example.tensors))
    called = Called(model, names, None) if names else model
    try:
        output = called(*(each.clone() for each in example))
    except MISFIT:
        return Fitted(called)  # `split_head` says why
    answer = _answer(output)
    if answer is None:
        return Fitted(called)
    what = f"'{answer}'" if isinstance(answer, str) else f"the one at place {answer}"
    note = f"of the model's outputs ({type(output).__name__}) {what} is taken for its answer"
    return Fitted(Called(model, names, answer), (note,))


def _by_name(model: nn.Module, ports: tuple[str, ...]) -> tuple[str, ...]:
    """The names to call its forward by; none where the order says as much."""
    try:
        parameters = inspect.signature(model.forward).parameters
    except ValueError:  # of some builtins nothing is known
        return ()
    kinds = {each.kind for each in parameters.values()}
    known = {name: each for name, each in parameters.items() if each.kind not in _OPEN_ENDED}
    in_order = [name for name, each in known.items() if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    if inspect.Parameter.VAR_POSITIONAL in kinds and not known.keys() & set(ports):
        return ()
    if ports == (ONE_TENSOR,) and ONE_TENSOR not in known:
        ports = (in_order[0],) if in_order else ports
    if inspect.Parameter.VAR_KEYWORD not in kinds and (strange := [each for each in ports if each not in known]):
        raise BadInput(
            f"its forward has no parameter for {', '.join(strange)}; it takes {', '.join(known) or 'nothing'}",
            where="task and model",
            next="Name the task's inputs as forward names its parameters: Examples({name: tensor}, y).",
        )
    if unfed := [name for name, each in known.items() if each.default is each.empty and name not in ports]:
        raise BadInput(
            f"its forward needs {', '.join(unfed)}, which the task does not give",
            where="task and model",
            next="Give every input by name, Examples({name: tensor}, y), or let forward have a default.",
        )
    return () if in_order[: len(ports)] == list(ports) else ports


def _answer(output: object) -> str | int | None:
    """Which part of an output is its answer, `logits` or else the first tensor; None where it has no parts."""
    if isinstance(output, torch.Tensor):
        return None
    if isinstance(getattr(output, _ANSWER, None), torch.Tensor):
        return _ANSWER
    if isinstance(output, Mapping):
        names = [name for name, each in output.items() if isinstance(each, torch.Tensor)]
        return _ANSWER if _ANSWER in names else next(iter(names), None)
    if isinstance(output, Sequence):
        return next((place for place, each in enumerate(output) if isinstance(each, torch.Tensor)), None)
    return None


def _part(output: Any, answer: str | int) -> Any:
    return getattr(output, answer) if isinstance(answer, str) and not isinstance(output, Mapping) else output[answer]
