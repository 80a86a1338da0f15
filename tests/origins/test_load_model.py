"""Whatever a model comes from, it comes plain, in eval mode and finite."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from toolkit.errors import BadInput
from toolkit.model_name import NamedModel
from toolkit.origins import identity, load_model

_FACTORIES = """
import torch
from torch import nn

def good():
    return nn.Sequential(nn.Linear(2, 2), nn.Dropout()).half().train()

def nan():
    model = nn.Linear(2, 2)
    model.weight.data[0, 1] = float("nan")
    return model

def infinite_buffer():
    model = nn.BatchNorm1d(2)
    model.running_var[:] = float("inf")
    return model

def weights():
    return nn.Linear(2, 2).state_dict()
"""


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_models.py").write_text(_FACTORIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_models"


def test_a_model_comes_in_eval_and_single_precision(factories: str) -> None:
    model = load_model(NamedModel(f"{factories}:good"))
    assert not any(module.training for module in model.modules())
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nan", "1 values of 'weight' are NaN or infinite"),
        ("infinite_buffer", "2 values of 'running_var' are NaN or infinite"),
        ("weights", "returned OrderedDict, not a model"),
        ("weights", "Return a torch.nn.Module."),
    ],
)
def test_what_is_no_usable_model_is_refused(factories: str, name: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_model(NamedModel(f"{factories}:{name}"))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_weights_go_into_what_the_factory_made(factories: str, tmp_path: Path) -> None:
    """Before `plain` folds anything: the state dict is one of the model as its factory made it."""
    save_file({"0.weight": torch.full((2, 2), 7.0), "0.bias": torch.zeros(2)}, tmp_path / "w.safetensors")
    model = load_model(NamedModel(f"{factories}:good", tmp_path / "w.safetensors"))
    assert model(torch.ones(1, 2)).tolist() == [[14.0, 14.0]]


def test_nan_in_a_file_of_weights_is_blamed_on_the_file(factories: str, tmp_path: Path) -> None:
    save_file({"0.weight": torch.full((2, 2), float("nan")), "0.bias": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(BadInput) as caught:
        load_model(NamedModel(f"{factories}:good", tmp_path / "w.safetensors"))
    assert caught.value.where == str(tmp_path / "w.safetensors")


def test_what_results_depend_on_beside_weights_and_modules(tmp_path: Path) -> None:
    """The arguments of a factory and the operators of a program."""
    assert identity("mine:model?scale=1") != identity("mine:model?scale=2")
    program = tmp_path / "a.pt2"
    program.write_bytes(b"one")
    before = identity(str(program))
    program.write_bytes(b"other")
    assert identity(str(program)) != before


def test_results_depend_on_the_settings_of_a_directory(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    directory = tmp_path / "hf"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    before = identity(f"hf:{directory}")
    (directory / "config.json").write_text('{"pad_token_id": 1}')
    assert identity(f"hf:{directory}") != before
