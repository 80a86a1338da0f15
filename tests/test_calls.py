"""Models are called as their forward wants it, and one of their outputs is the answer."""

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import nn

from toolkit.calls import fit_to_inputs
from toolkit.errors import BadInput
from toolkit.inputs import Inputs, inputs_of

_X, _SCALE = torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, 10.0]])
_BOTH = Inputs({"x": _X, "scale": _SCALE})


class InOrder(nn.Module):
    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return x - scale


class Reversed(nn.Module):
    def forward(self, scale: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return x - scale


class ByKeyword(nn.Module):
    def forward(self, x: torch.Tensor, more: None = None, *, scale: torch.Tensor) -> torch.Tensor:
        return x - scale


class OpenEnded(nn.Module):
    def forward(self, **given: torch.Tensor) -> torch.Tensor:
        return given["x"] - given["scale"]


class Output(OrderedDict[str, torch.Tensor]):
    """As those of transformers: names are attributes, too, and places count."""

    @property
    def logits(self) -> torch.Tensor:
        return self["logits"]


class Gives(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: torch.Tensor) -> Any:
        parts = {"hidden": 2 * x, "logits": 3 * x}
        return {
            "output": Output(parts),
            "mapping": parts,
            "without logits": {"none": None, "hidden": 3 * x, "more": x},
            "tuple": (None, 3 * x, x),
        }[self.kind]


@pytest.mark.parametrize(
    "model", [InOrder(), Reversed(), ByKeyword(), OpenEnded()], ids=lambda each: type(each).__name__
)
def test_inputs_go_where_their_names_are(model: nn.Module) -> None:
    fitted = fit_to_inputs(model, _BOTH)
    assert fitted.model(*_BOTH).tolist() == [[-9.0, -8.0]]
    assert (fitted.model is model) == isinstance(model, InOrder)
    assert fitted.notes == ()


def test_one_tensor_is_the_first_parameter_whatever_it_is_called() -> None:
    plain = nn.Linear(2, 3)  # of `input`
    assert fit_to_inputs(plain, inputs_of(_X)).model is plain


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (InOrder(), Inputs({"x": _X, "size": _SCALE}), "has no parameter for size; it takes x, scale"),
        (InOrder(), inputs_of(_X), "needs scale, which the task does not give"),
        (ByKeyword(), inputs_of(_X), "needs scale, which the task does not give"),
        (nn.Linear(2, 3), Inputs({"pixels": _X}), "has no parameter for pixels; it takes input"),
    ],
    ids=["strange", "unfed", "keyword", "renamed"],
)
def test_what_does_not_fit_is_refused(model: nn.Module, given: Inputs, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        fit_to_inputs(model, given)
    assert said in caught.value.what


@pytest.mark.parametrize(
    ("kind", "taken"),
    [("output", "'logits'"), ("mapping", "'logits'"), ("without logits", "'hidden'"), ("tuple", "at place 1")],
)
def test_of_several_outputs_the_logits_or_the_first_tensor_is_the_answer(kind: str, taken: str) -> None:
    fitted = fit_to_inputs(Gives(kind), inputs_of(_X))
    assert fitted.model(_X).tolist() == [[3.0, 6.0]]
    [note] = fitted.notes
    assert taken in note
    exported = torch.export.export(fitted.model, (_X,)).module()
    assert exported(_X).tolist() == [[3.0, 6.0]]


def test_an_output_without_any_tensor_is_left_to_those_who_read_it() -> None:
    class Empty(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, None]:
            return {"logits": None}

    model = Empty()
    assert fit_to_inputs(model, inputs_of(_X)).model is model
