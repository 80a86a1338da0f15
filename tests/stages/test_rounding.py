"""What a layer loses in another precision is measured, and one whose numbers that does not have loses all."""

from typing import Any

from workplace import TASK, Workplace, inside

from toolkit import stages
from toolkit.choice import Choice
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.runtimes.arithmetic import FP32, Arithmetic
from toolkit.stages import Watch
from toolkit.stages.rounding import with_rounding
from toolkit.stages.worth import Worth

LOUD = """
import torch
from torch import nn

def loud():
    torch.manual_seed(0)
    first, second, third = nn.Linear(64, 16), nn.Linear(16, 16), nn.Linear(16, 16)
    first.weight.data *= 1e5  # more than 65,504
    second.weight.data /= 1e5
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, nn.ReLU(), third, nn.ReLU(), nn.Linear(16, 5))
"""


def test_what_fp16_loses_is_measured(place: Workplace) -> None:
    (place.folder / "my_package" / "loud.py").write_text(LOUD)
    request = Request("my_package.loud:loud", TASK, "onnxruntime", precision="fp16", recovery_steps=0)
    with inside(place):
        job = stages.load(request, place.target, Watch(Silent()), offline=True)
    arithmetics: Any = {"fp32": FP32, "fp16": Arithmetic("fp16")}
    parts: Any = dict.fromkeys([*job.layers, *job.fixed])
    worth = with_rounding(job, Worth({}, {}), parts, arithmetics, 0, Watch(Silent()))
    lost = {name: curve.dense - curve.by_choice[Choice(precision="fp16")] for name, curve in worth.gains.items()}
    assert lost["1"] == lost["3"] == 100  # what the first gives, the second cannot read
    assert 0 <= lost["5"] < 0.01
