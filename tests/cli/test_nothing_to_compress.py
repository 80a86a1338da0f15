"""A model without a layer to make compact is deployed as it is, within what was asked for."""

import json

from workplace import FEW_STEPS, Workplace, refusal

_MODEL = """
import torch
from torch import nn

def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5))
"""
_RUN = ("--target", "desk", "--model", "my_package.plain:linear", "--task", "my_package.small:task", *FEW_STEPS)


def test_it_is_deployed_and_a_default_gives_way_to_what_it_takes(place: Workplace) -> None:
    (place.folder / "my_package" / "plain.py").write_text(_MODEL)
    done = place.deploy(*_RUN, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["active"]
    assert result["allocation"] == []
    assert result["parameters_compact"] == result["parameters_dense"]
    assert any("nothing to compress" in note for note in result["notes"])

    done = place.deploy(*_RUN, "--size", "100B")
    assert done.returncode == 4
    assert "nothing to compress" in refusal(done)

    done = place.deploy("plan", "--frontier", *_RUN[:6])
    assert done.returncode == 2
    assert "nothing to compress" in refusal(done)
