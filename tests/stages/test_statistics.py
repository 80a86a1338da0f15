"""Statistics of batch normalisation are taken of examples as the dense network was trained on."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from workplace import PLAIN, Workplace, inside, make_workplace

from toolkit import stages
from toolkit.augmentation import Augmentation
from toolkit.choice import Choice, rank
from toolkit.distillation import augment_for
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch
from toolkit.stages.load import Job
from toolkit.stages.statistics import is_cut, moved_in_training, renew_statistics

# Bright near a corner, grey around: moved, an image is another one, by how it is moved, and so are
# its statistics.
_NORMS = """
import torch
from torch import nn
from toolkit.distillation import augment_for, estimate_statistics
from toolkit.tasks import Examples, Task

def images(count, seed):
    y = torch.arange(count) % 3
    x = torch.ones(count, 1, 16, 16)
    x[:, :, 1:4, 1:4] = 4.0 + y[:, None, None, None]
    return Examples(x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)), y)

def model(move):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 14), nn.Flatten(),
                            nn.Linear(8, 3)).eval()
    network[5].weight.data *= 300  # so that answers tell small differences
    x = images(600, 2).x
    x = augment_for(move, x)(x, torch.Generator().manual_seed(5))
    estimate_statistics(network, x)
    return network

def as_they_are():
    return model(())

def shifted():
    return model(("shift",))

def cropped():
    return model(("crop",))

def task(shots, seed):
    return Task("squares", ("a", "b", "c"), images(15, 3), images(30, 4), images(600, 2), images(60, 6))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    (made.folder / "my_package" / "squares.py").write_text(_NORMS)
    with inside(made):
        yield made


def job_of(place: Workplace, model: str) -> Job:
    request = Request(f"my_package.squares:{model}", "my_package.squares:task", **PLAIN)
    return stages.load(request, place.target, Watch(Silent()))


@pytest.mark.parametrize(("model", "move"), [("as_they_are", ()), ("shifted", ("shift",)), ("cropped", ("crop",))])
def test_the_dense_network_gets_its_own_statistics_back(place: Workplace, model: str, move: Augmentation) -> None:
    job = job_of(place, model)
    assert moved_in_training(job) == move
    [norm] = [each for each in job.network.backbone.modules() if isinstance(each, nn.BatchNorm2d)]
    own = norm.running_mean.clone(), norm.running_var.clone()
    assert job.task.general is not None
    renew_statistics(job, job.network.backbone, job.task.general.x)
    renewed = (norm.running_mean - own[0]).abs().max() / own[1].sqrt().max()
    x = augment_for(("shift",), job.task.general.x)(job.task.general.x, torch.Generator().manual_seed(1))
    other = job.task.general.x if move else x
    with torch.no_grad():
        otherwise = (job.network.backbone[0](*other).mean((0, 2, 3)) - own[0]).abs().max() / own[1].sqrt().max()
    assert renewed < 0.5 * otherwise


def test_a_change_of_precision_alone_cuts_nothing() -> None:
    assert not is_cut({"a": Choice(), "b": Choice(precision="int8")})
    assert is_cut({"a": Choice(), "b": rank(4, "int8")})
