"""Examples vary, where nobody says how, in ways that the dense network does not mind."""

from collections.abc import Iterator

import pytest
from workplace import PLAIN, Workplace, inside, make_workplace

from toolkit import stages
from toolkit.augmentation import Augmentation
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch
from toolkit.stages.jitter import jitter
from toolkit.stages.variations import usual_variations

# `bars` are high or low, and look the same mirrored; `sides` are bright on the left or on the right.
_IMAGES = """
import torch
from torch import nn
from toolkit.tasks import Examples, Task

class Halves(nn.Module):
    def __init__(self, axis):
        super().__init__()
        self.axis, self.head = axis, nn.Linear(2, 2, bias=False)
        self.head.weight.data = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        self.mixed = nn.Linear(2, 2)
        self.mixed.weight.data, self.mixed.bias.data = torch.eye(2), torch.zeros(2)

    def forward(self, x):
        first, second = x.chunk(2, self.axis)
        return self.head(self.mixed(torch.stack([first.mean((1, 2, 3)), second.mean((1, 2, 3))], 1)))

def bars():
    return Halves(2).eval()

def sides():
    return Halves(3).eval()

def images(count, axis, seed):
    y = torch.arange(count) % 2
    x = 0.1 * torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    for example, label in zip(x, y):
        example.narrow(axis - 1, 4 * int(label), 4).add_(1.0)
    return Examples(x, y)

def task_of_bars(shots, seed):
    return Task("bars", ("a", "b"), images(10, 2, 1), images(20, 2, 2), images(300, 2, 3), images(60, 2, 4))

def task_of_sides(shots, seed):
    return Task("sides", ("a", "b"), images(10, 3, 1), images(20, 3, 2), images(300, 3, 3), images(60, 3, 4))

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))

class Names(nn.Module):
    # Rows of token ids and of a mask, as one float tensor.

    def __init__(self):
        super().__init__()
        self.table, self.body, self.head = nn.Embedding(50, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        mask = x[:, 1, :, None]
        return self.head((self.body(self.table(x[:, 0].long())) * mask).sum(1) / mask.sum(1))

def names():
    torch.manual_seed(0)
    return Names().eval()

def task_of_names(shots, seed):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 50, (10, 1, 6), generator=generator).float()
    x = torch.cat([ids, torch.ones(10, 1, 6)], 1)
    return Task("names", ("a", "b"), Examples(x, torch.arange(10) % 2), Examples(x, torch.arange(10) % 2))

def task_of_bytes(shots, seed):
    # Pixels as whole numbers: they are numbers all the same.
    of = task_of_sides(shots, seed)
    support = Examples((64 * of.support.x.tensors["x"]).round(), of.support.y)
    return Task("bytes", of.classes, support, of.query)

def vectors():
    torch.manual_seed(0)
    return Tokens().eval()

def task_of_vectors(shots, seed):
    x = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    return Task("vectors", ("a", "b"), Examples(x, torch.arange(10) % 2), Examples(x, torch.arange(10) % 2))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    (made.folder / "my_package" / "halves.py").write_text(_IMAGES)
    with inside(made):
        yield made


@pytest.mark.parametrize(("model", "expected"), [("bars", ("shift", "mirror")), ("sides", ("shift",)), ("vectors", ())])
def test_images_are_mirrored_where_the_dense_network_knows_them_so(
    place: Workplace, model: str, expected: Augmentation
) -> None:
    request = Request(f"my_package.halves:{model}", f"my_package.halves:task_of_{model}", **PLAIN)
    assert usual_variations(stages.load(request, place.target, Watch(Silent()))) == expected


@pytest.mark.parametrize(
    ("model", "task", "expected"),
    [("names", "task_of_names", 0.0), ("vectors", "task_of_vectors", 0.25), ("sides", "task_of_bytes", 0.25)],
)
def test_names_are_not_shaken(place: Workplace, model: str, task: str, expected: float) -> None:
    request = Request(f"my_package.halves:{model}", f"my_package.halves:{task}", **PLAIN)
    assert jitter(stages.load(request, place.target, Watch(Silent()))) == {"x": expected}
