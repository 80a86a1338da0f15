"""What `--model` may name, on the real command line: it is deployed, or refused in one or two lines."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from workplace import FEW_STEPS, ONLY_RANKS, ROOMY, TASK, Workplace, refusal

_SIZED = """
from torch import nn

def model(width: int = 8):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 5))
"""
_RUN = ("--target", "desk", "--task", TASK, *ONLY_RANKS, *FEW_STEPS, *ROOMY)


def sized(width: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 5)).eval()


def export(folder: Path, batch: object) -> None:
    program = torch.export.export(sized(32), (torch.randn(2, 1, 8, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "net.pt2")


@pytest.fixture
def filled(place: Workplace) -> Workplace:
    (place.folder / "my_package" / "sized.py").write_text(_SIZED)
    torch.save({"state_dict": sized(32).state_dict()}, place.folder / "w.pt")
    return place


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "my_package.sized:model?depth=3"), "Its arguments: width: int = 8."),
        (("--model", "my_package.sized:model", "--weights", "w.pt"), "1.weight (32, 64), in the model (8, 64)"),
        (("--model", "my_package.sized:model", "--weights", "none.pt"), "no such file"),
        (("--model", "none.pt2"), "no such file"),
        (("--model", "hf:none"), "no such directory"),
        (("--model", "my_package.sized:model", "--trust-remote-code"), "no effect"),
        (("--task", "my_package.small:task?size=3"), "'size' is none of its arguments"),
    ],
)
def test_what_cannot_be_loaded_ends_in_two_lines(filled: Workplace, options: tuple[str, ...], said: str) -> None:
    done = filled.deploy("plan", *_RUN, *options)
    assert done.returncode == 2
    assert said in refusal(done)


def test_a_program_of_one_batch_size_is_refused_with_how_to_export(place: Workplace) -> None:
    export(place.folder, None)
    assert "Dim.DYNAMIC" in refusal(place.deploy("plan", *_RUN, "--model", "net.pt2"))


def test_a_factory_with_arguments_and_weights_is_deployed(filled: Workplace) -> None:
    options = ("--model", "my_package.sized:model?width=32", "--weights", "w.pt", "--size", "8KB")
    done = filled.deploy(*_RUN, *options, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["model"], result["weights"]) == ("my_package.sized:model?width=32", "w.pt")
    # 64 x 32 + 32 of the layer that is 32 wide, 32 x 3 + 3 of a head for three classes
    assert result["parameters_compact"] < result["parameters_dense"] == 2179


def test_the_layers_of_a_program_become_compact(place: Workplace) -> None:
    export(place.folder, torch.export.Dim.DYNAMIC)
    done = place.deploy(*_RUN, "--model", "net.pt2", "--size", "8KB", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["active"]
    assert [each["layer"] for each in json.loads(done.stdout)["allocation"]] == ["1"]
