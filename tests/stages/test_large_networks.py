"""A network so large that it is hardly trained by default stays dense where int8 alone keeps the budget."""

import pytest
from workplace import Workplace, inside

from toolkit import pipeline
from toolkit.deployment import Deployment
from toolkit.progress import Silent
from toolkit.request import Overrides, Request

# 3.2e8 multiplications an example in its convolutions.
_LARGE = """
import torch
from torch import nn
from toolkit.tasks import Examples, Task

def model():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1)
    return nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3)).eval()

def task(shots, seed):
    patterns = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(seed)

    def draw(count):
        y = torch.arange(3).repeat_interleave(count)
        return Examples(patterns[y] + 0.3 * torch.randn(len(y), 3, 64, 64, generator=generator), y)

    return Task("patterns", ("a", "b", "c"), draw(shots), draw(2))
"""
REQUEST = Request("my_package.large:model", "my_package.large:task")


@pytest.fixture
def planned(place: Workplace) -> Deployment:
    (place.folder / "my_package" / "large.py").write_text(_LARGE)
    with inside(place):
        return pipeline.plan(REQUEST, place.target, Overrides(speedup=1.2), Silent(), place.folder / "plan")


@pytest.mark.slow
def test_it_stays_dense_in_int8_and_nothing_is_weighed(planned: Deployment) -> None:
    fast = [point.latency_ms for point in planned.frontier if point.label == "dense int8"]
    if not fast or fast[0] > 0.5 * planned.latency_ms.dense_median:
        pytest.skip(
            "NO FAST INT8: that a large network stays dense in it is NOT tested; a processor with VNNI is needed"
        )
    assert {(each.choice, each.precision) for each in planned.allocation} == {("dense", "int8")}
    assert any(note.endswith("--set recovery.steps=N weighs them, too, and trains") for note in planned.notes)
    assert not any("true loss of single" in note for note in planned.notes)
