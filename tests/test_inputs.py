"""Inputs: named tensors that are sliced, split and joined together."""

import torch

from toolkit.inputs import Inputs, Port, differentiable, inputs_of, join

_TEXT = Inputs({"ids": torch.arange(12).reshape(4, 3), "mask": torch.ones(4, 3)})


def test_rows_of_all_tensors_go_together() -> None:
    chosen = _TEXT[torch.tensor([3, 0])]
    assert [len(_TEXT), len(chosen)] == [4, 2]
    assert chosen.tensors["ids"].tolist() == [[9, 10, 11], [0, 1, 2]]
    assert chosen.tensors["mask"].shape == (2, 3)


def test_a_network_is_called_with_them_in_their_order() -> None:
    assert [tensor.dtype for tensor in _TEXT] == [torch.int64, torch.float32]


def test_batches_join_to_what_was_split() -> None:
    parts = list(_TEXT.split(3))
    assert [len(part) for part in parts] == [3, 1]
    for whole, again in zip(_TEXT, join(parts), strict=True):
        assert torch.equal(whole, again)


def test_batches_of_large_examples_are_small() -> None:
    """Four photographs at a time, one of what is larger yet; all tensors of an example count."""
    photographs = torch.zeros(9, 3, 224, 224)
    assert [len(part) for part in inputs_of(photographs).batches(256)] == [4, 4, 1]
    assert [len(part) for part in Inputs({"left": photographs, "right": photographs}).batches(256)] == [2, 2, 2, 2, 1]
    assert [len(part) for part in inputs_of(torch.zeros(2, 3, 600, 600)).batches(256)] == [1, 1]
    assert [len(part) for part in _TEXT.batches(3)] == [3, 1]


def test_ports_say_what_one_example_is() -> None:
    assert _TEXT.ports == (Port("ids", (3,), "int64"), Port("mask", (3,), "float32"))


def test_one_tensor_is_the_port_x() -> None:
    assert inputs_of(torch.zeros(2, 5)).ports == (Port("x", (5,)),)


def test_what_is_no_float_cannot_be_shaken() -> None:
    assert list(_TEXT.floats()) == ["mask"]
    assert _TEXT.with_tensors({"mask": torch.zeros(4, 3)}).tensors["ids"] is _TEXT.tensors["ids"]


def test_gradients_come_back_to_floats_alone() -> None:
    x = differentiable(_TEXT)
    (x.tensors["ids"] * x.tensors["mask"]).sum().backward()
    assert torch.equal(x.tensors["mask"].grad, _TEXT.tensors["ids"].float())
    assert not _TEXT.tensors["mask"].requires_grad


def test_what_has_four_dimensions_and_no_names_may_be_an_image() -> None:
    x = Inputs({"photo": torch.zeros(2, 3, 8, 8), "labels": torch.zeros(2, 1, 8, 8).long(), "age": torch.zeros(2, 1)})
    assert list(x.images()) == ["photo"]
