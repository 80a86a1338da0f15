"""A task of several inputs: rows go together, and everything that is wrong with any of them is said."""

from dataclasses import replace

import pytest
import torch

from toolkit.errors import BadInput
from toolkit.inputs import Given, Port
from toolkit.tasks import Examples, Task, validate_task

_IDS, _MASK, _AGE = torch.arange(8).reshape(4, 2), torch.ones(4, 2, dtype=torch.bool), torch.rand(4, 1)
_Y = torch.tensor([0, 1, 0, 1])
_PART = Examples({"ids": _IDS, "mask": _MASK, "age": _AGE}, _Y)
_TASK = Task("t", ("a", "b"), _PART, _PART)


def test_integers_booleans_and_floats_make_a_task() -> None:
    assert validate_task(_TASK) is _TASK
    assert [port.dtype for port in _PART.x.ports] == ["int64", "bool", "float32"]


def test_rows_of_inputs_and_labels_go_together() -> None:
    chosen = _PART[_Y == 1]
    assert (chosen.x.tensors["ids"].tolist(), chosen.y.tolist()) == ([[2, 3], [6, 7]], [1, 1])
    assert len(_PART[:3]) == 3


def test_content_tells_names_and_values_apart() -> None:
    other = Examples({"words": _IDS, "mask": _MASK, "age": _AGE}, _Y)
    assert Examples(dict(_PART.x.tensors), _Y).content == _PART.content != other.content
    assert _PART[[0, 1, 2, 2]].content != _PART.content


def test_one_tensor_needs_no_name() -> None:
    assert Examples(_AGE, _Y).x.ports == (Port("x", (1,)),)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "query has no inputs"),
        ({"ids": _IDS, "mask": _MASK}, "different names, or another order: ids, mask; ids, mask, age"),
        (
            {"mask": _MASK, "ids": _IDS, "age": _AGE},
            "different names, or another order: ids, mask, age; mask, ids, age",
        ),
        ({"ids": _IDS[:, :1], "mask": _MASK, "age": _AGE}, "inputs ids have different shapes: (1,), (2,)"),
        ({"ids": _IDS.int(), "mask": _MASK, "age": _AGE}, "inputs ids have different types: torch.int32, torch.int64"),
        ({"ids": _IDS, "mask": _MASK.byte(), "age": _AGE}, "mask of torch.uint8"),
        ({"ids": _IDS[:3], "mask": _MASK, "age": _AGE}, "ids of shape (3, 2), y of (4,)"),
        ({"ids": _IDS, "mask": _MASK, "age": _AGE[:, 0]}, "age of shape (4,)"),
        ({"ids": _IDS, "mask": _MASK, "age": _AGE * torch.nan}, "NaN or infinity in 4 of 4 inputs age"),
        ({"ids": _IDS, "mask": _MASK, "age": [0.5] * 4}, "age of list"),
    ],
    ids=["none", "names", "order", "shapes", "types", "bytes", "rows", "flat", "nan", "list"],
)
def test_what_is_wrong_with_one_of_them_is_said(given: Given, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        validate_task(replace(_TASK, query=Examples(given, _Y)))
    assert said in caught.value.what
