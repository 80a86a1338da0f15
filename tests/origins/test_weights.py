"""Weights fit the factory's model name by name; what does not is listed, and nothing in a file is ever run."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from toolkit.errors import BadInput
from toolkit.origins.weights import put_weights, read_weights


def net(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2)).eval()


def trained() -> nn.Sequential:
    """With every tensor another than a new network has."""
    torch.manual_seed(1)
    model = net()
    for tensor in model.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape) + 1)
    return model


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 3)
        self.last.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x))


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.pt", lambda state: state),
        ("w.pth", lambda state: {"state_dict": state, "epoch": 3}),
        ("w.bin", lambda state: {"model": state, "optimizer": {"lr": 0.1}}),
        ("w.pt", lambda state: {f"module.{name}": value for name, value in state.items()}),
        ("w.pt", lambda state: {"model_state_dict": {f"module._orig_mod.{k}": v for k, v in state.items()}}),
        ("w.pt", lambda state: {k: v.half() if v.is_floating_point() else v for k, v in state.items()}),
        ("w.pt", lambda state: {k: v for k, v in state.items() if "num_batches" not in k}),
    ],
    ids=["plain", "state_dict", "model", "parallel", "parallel and compiled", "half", "without counts"],
)
def test_a_checkpoint_goes_into_the_model(name: str, content: Any, tmp_path: Path) -> None:
    model, source, x = net(), trained(), torch.randn(5, 3)
    torch.save(content(source.state_dict()), tmp_path / name)
    put_weights(model, tmp_path / name)
    torch.testing.assert_close(model(x), source(x), rtol=1e-2, atol=1e-2)


def test_safetensors_go_into_the_model(tmp_path: Path) -> None:
    model, source = net(), trained()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    put_weights(model, tmp_path / "w.safetensors")
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in model.state_dict().items())


def test_of_weights_that_share_memory_one_name_is_enough(tmp_path: Path) -> None:
    """`safetensors.torch.save_model` keeps one of them."""
    model, source, x = Tied(), Tied(), torch.randn(2, 3)
    save_model(source, str(tmp_path / "w.safetensors"))
    put_weights(model, tmp_path / "w.safetensors")
    torch.testing.assert_close(model(x), source(x))


def test_a_model_with_names_that_begin_so_keeps_them(tmp_path: Path) -> None:
    model = nn.ModuleDict({"module": nn.Linear(2, 2)})
    torch.save({"module.weight": torch.ones(2, 2), "module.bias": torch.ones(2)}, tmp_path / "w.pt")
    put_weights(model, tmp_path / "w.pt")
    assert torch.equal(model["module"].weight, torch.ones(2, 2))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("0.weight"), ("1 missing (0.weight)",)),
        (lambda state: [state.pop(name) for name in list(state)[:5]], ("5 missing (0.weight, 0.bias, 1.weight, ...)",)),
        (lambda state: state.update(extra=torch.ones(1)), ("1 unexpected (extra)",)),
        (
            lambda state: state.update(net(6).state_dict()),
            ("of another shape (0.weight (6, 3), in the model (4, 3), ",),
        ),
        (
            lambda state: (state.pop("2.bias"), state.update(b=torch.ones(1), c=torch.ones(1))),
            ("1 missing (2.bias)", "2 unexpected (b, c)"),
        ),
    ],
    ids=["missing", "many missing", "unexpected", "another width", "both"],
)
def test_names_that_do_not_fit_are_listed_and_the_model_is_left_alone(
    change: Any, said: tuple[str, ...], tmp_path: Path
) -> None:
    model, state = net(), trained().state_dict()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    change(state)
    torch.save(dict(state), tmp_path / "w.pt")
    with pytest.raises(BadInput) as caught:
        put_weights(model, tmp_path / "w.pt")
    for each in said:
        assert each in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}, "hook": Evil(tmp_path / "was run")}, tmp_path / "w.pt")
    with pytest.raises(BadInput, match="nothing is unpickled"):
        read_weights(tmp_path / "w.pt")
    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("w.pt", b"no weights", "w.pt"),
        ("w.pth", b"", "cannot be read"),
        ("w.safetensors", b"no weights", "cannot be read"),
        ("w.safetensors", b"", "cannot be read"),
        ("w.npz", b"", "Give one of .safetensors, .pt, .pth, .bin."),
    ],
)
def test_a_file_that_is_none_is_refused(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=said) as caught:
        read_weights(tmp_path / name)
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.ones(3), "no state dict (Tensor)"),
        ({"epoch": 3, "lr": 0.1}, "no state dict (epoch, lr)"),
        ({}, "no state dict"),
        ([torch.ones(3)], "no state dict (list)"),
        ({"state_dict": {"a": 3}}, "no state dict (state_dict)"),
    ],
)
def test_a_file_without_a_state_dict_says_what_it_holds(content: object, said: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(BadInput) as caught:
        read_weights(tmp_path / "w.pt")
    assert said in str(caught.value)
