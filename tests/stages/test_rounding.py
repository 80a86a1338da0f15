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


FAR = """
import torch
from torch import nn

class Far(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(64, 16), nn.Linear(16, 16), nn.Linear(16, 5)

    def forward(self, x):
        y = torch.relu(self.first(x.flatten(1)))
        far = torch.sub(y, -1e4)
        y = torch.sub(far + torch.zeros_like(far), 1e4)  # in steps of 39, if what is added up is rounded
        return self.head(torch.relu(self.second(y)))

def far():
    torch.manual_seed(0)
    return Far()
"""


def test_a_layer_alone_pays_for_no_sum(place: Workplace) -> None:
    (place.folder / "my_package" / "far.py").write_text(FAR)
    request = Request("my_package.far:far", TASK, "onnxruntime", precision="int8", recovery_steps=0)
    with inside(place):
        job = stages.load(request, place.target, Watch(Silent()), offline=True)
    arithmetics: Any = {"fp32": FP32, "int8": Arithmetic("int8", "signed")}
    parts: Any = dict.fromkeys([*job.layers, *job.fixed])
    worth = with_rounding(job, Worth({}, {}), parts, arithmetics, 0, Watch(Silent()))
    for name in ("first", "second"):
        curve = worth.gains[name]
        assert curve.dense - curve.by_choice[Choice(precision="int8")] < 0.05
