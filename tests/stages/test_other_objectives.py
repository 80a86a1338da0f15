"""Tasks that are no classification go the whole way on this machine: real data, small networks, a budget in bytes."""

from collections.abc import Iterator

import pytest
from workplace import PLAIN, ROOMY_MS, Workplace, inside, make_workplace

from toolkit import pipeline
from toolkit.deployment import Deployment
from toolkit.progress import Silent
from toolkit.request import Overrides, Request

_TASKS = """
import torch
from sklearn.datasets import load_diabetes, load_digits
from torch import nn
from torch.nn import functional as F
from toolkit.objectives import Boxes, Labelling, MultiLabel, Regression
from toolkit.tasks import Examples, Task

def trained(model, x, y, objective, steps):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        some = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        objective.loss(model(x[some]), y[some]).mean().backward()
        optimizer.step()
    return model.eval()

def mlp(inputs, outputs):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs))

def task(name, x, y, objective, cuts, classes=()):
    support, query, general, held_out = (Examples(x[a:b], y[a:b]) for a, b in zip([0, *cuts], [*cuts, len(x)]))
    return Task(name, classes, support, query, general, held_out, objective)

def values_data():
    data = load_diabetes(scaled=False)
    x, y = (torch.tensor(each, dtype=torch.float32) for each in (data.data, data.target))
    return (x - x.mean(0)) / x.std(0), y[:, None], Regression.of(y[:, None])

def values():
    x, y, objective = values_data()
    return trained(mlp(10, 1), x[140:340], y[140:340], objective, 300)

def task_of_values(shots, seed):
    return task("diabetes", *values_data(), (40, 140, 340))

def ink_data():
    images = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 16
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return images + 0.2 * noise, (images[:, 0] > 0.5).long(), Labelling()

class Ink(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 24, 3, padding=1), nn.Conv2d(24, 24, 3, padding=1)
        self.last = nn.Conv2d(24, 2, 1)

    def forward(self, x):
        x = self.first(x).relu()
        coarse = self.second(F.max_pool2d(x, 2)).relu()
        return self.last(x + F.interpolate(coarse, scale_factor=2))

def ink():
    torch.manual_seed(0)
    x, y, objective = ink_data()
    return trained(Ink(), x[140:640], y[140:640], objective, 100)

def task_of_ink(shots, seed):
    x, y, objective = ink_data()
    return task("ink", x[:800], y[:800], objective, (40, 140, 640), ("paper", "ink"))

def parts_data():
    digits = load_digits()
    x, digit = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    return x, torch.stack([digit % 2 == 0, digit > 4, digit % 3 == 0], 1).float(), MultiLabel()

def parts():
    x, y, objective = parts_data()
    return trained(mlp(64, 3), x[140:1140], y[140:1140], objective, 200)

def task_of_parts(shots, seed):
    x, y, objective = parts_data()
    return task("parts", x[:1340], y[:1340], objective, (40, 140, 1140), ("even", "large", "third"))

def found_data():
    digits = load_digits()
    images, random = torch.tensor(digits.images, dtype=torch.float32) / 16, torch.Generator().manual_seed(0)
    x, y = torch.zeros(800, 1, 24, 24), torch.full((800, 2, 5), -1.0)
    for index in range(800):
        for half in range(1 + index % 2):
            which = int(torch.randint(len(images), (1,), generator=random))
            top, left = (int(torch.randint(most, (1,), generator=random)) for most in (17, 5))
            x[index, 0, top : top + 8, 12 * half + left : 12 * half + left + 8] = images[which]
            box = [(12 * half + left + 4) / 24, (top + 4) / 24, 1 / 3, 1 / 3]
            y[index, half] = torch.tensor([float(digits.target[which] > 4), *box])
    return x, y, Boxes(2, 2)

class Found(nn.Module):
    def __init__(self):
        super().__init__()
        shapes = ((1, 24, 1), (24, 24, 2), (24, 32, 2), (32, 32, 1))
        convs = [nn.Conv2d(a, b, 3, padding=1, stride=stride) for a, b, stride in shapes]
        self.body = nn.Sequential(*[layer for conv in convs for layer in (conv, nn.ReLU())])
        self.last = nn.Conv2d(32, 6, 1)
        nn.init.constant_(self.last.bias, -2.0)
        rows = (torch.arange(6) + 0.5) / 6
        self.register_buffer("centres", torch.stack(torch.meshgrid(rows, rows, indexing="xy")).flatten(1))

    def forward(self, x):
        found = self.last(self.body(x)).flatten(2)
        return torch.cat([self.centres + found[:, :2] / 6, 1 / 3 + found[:, 2:4] / 6, found[:, 4:]], 1)

def found():
    torch.manual_seed(0)
    x, y, objective = found_data()
    return trained(Found(), x[140:640], y[140:640], objective, 300)

def task_of_found(shots, seed):
    x, y, objective = found_data()
    return task("found", x, y, objective, (40, 140, 640), ("small", "large"))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("other"))
    (made.folder / "my_package" / "other.py").write_text(_TASKS)
    with inside(made):
        yield made


def _deploy(place: Workplace, name: str, size_bytes: int) -> Deployment:
    model, task = f"my_package.other:{name}", f"my_package.other:task_of_{name}"
    # What is timed decides nothing here: bytes do.
    request = Request(model, task, recovery_steps=40, adapt_steps=10, profile_budget_s=5.0, **PLAIN)
    budget = Overrides(latency_ms=ROOMY_MS, size_bytes=size_bytes)
    (place.folder / name).mkdir()
    return pipeline.deploy(request, place.target, budget, Silent(), place.folder / name)


@pytest.mark.parametrize(
    ("name", "size_bytes", "measure", "least"),
    # Bytes: four fifths of what the dense network takes. Scores: what the dense one has, less a tenth, is asked for.
    [
        ("values", 18_000, "R²", 0.35),
        ("ink", 22_000, "mean IoU", 0.8),
        ("parts", 32_000, "F1", 0.8),
        ("found", 76_000, "F1 of boxes", 0.5),
    ],
)
def test_it_is_compressed_proven_and_learns(
    place: Workplace, name: str, size_bytes: int, measure: str, least: float
) -> None:
    result = _deploy(place, name, size_bytes)
    assert result.active
    assert result.measure == measure
    assert any(each.rank is not None for each in result.allocation)
    assert result.accuracy is not None
    assert result.accuracy.task_dense.value > least
    assert result.accuracy.task_compact.value > 0.9 * result.accuracy.task_dense.value
    assert result.accuracy.task_adapted is not None
    over_all = result.accuracy.task_dense.over_all, result.accuracy.task_adapted.over_all
    assert all(set(each) == ({"mAP@0.5", "mAP@0.5:0.95"} if name == "found" else set()) for each in over_all)
    assert all(0 < each[key] <= each["mAP@0.5"] <= 1 for each in over_all for key in each)
    assert result.adaptation is not None
    assert result.adaptation.held_out is not None
    assert result.host_device_max_relative_difference is not None
    assert result.host_device_max_relative_difference < 1e-3
