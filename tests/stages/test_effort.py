"""A large network is trained for as long as a small one by default: fewer steps, of fewer examples."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from workplace import MODEL, PLAIN, TASK, inside, make_workplace

from toolkit import stages
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch
from toolkit.stages.effort import Effort, loss_examples, macs, recovery_effort
from toolkit.stages.load import Job

# Of the small network: a 3 x 3 convolution to 16 channels at 4 x 4 positions, 256 x 32, 32 x 32.
_SMALL = 16 * 9 * 16 + 256 * 32 + 32 * 32


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    place = make_workplace(tmp_path_factory.mktemp("place"))
    with inside(place):
        yield stages.load(Request(MODEL, TASK, **PLAIN), place.target, Watch(Silent()))


def _of_size(job: Job, multiplications: int) -> Job:
    """The same with one layer, which takes so many: over many positions."""
    layer, width = torch.nn.Linear(256, 256), 256
    network = replace(job.network, backbone=torch.nn.Sequential(layer))
    support = replace(job.task.support, x=torch.zeros(1, round(multiplications / width**2), width))
    return replace(job, network=network, layers={"0": layer}, task=replace(job.task, support=support))


def test_multiplications_are_those_of_the_layers(job: Job) -> None:
    assert macs(job) == _SMALL


def test_a_small_network_has_the_usual_steps_and_what_is_asked_for_is_done(job: Job) -> None:
    assert recovery_effort(job, None) == Effort(400, 64)
    assert recovery_effort(job, 2000) == Effort(2000, 64)
    assert recovery_effort(job, 0) == Effort(0, 64)


@pytest.mark.parametrize(
    ("multiplications", "expected"),
    [
        (43_900_000, Effort(400, 64)),  # 4.5e12 in 4 passes over 25,600 examples
        (88_000_000, Effort(400, 16)),
        (1_800_000_000, Effort(39, 16)),  # a ResNet-18 for 224 x 224
        (4_000_000_000, Effort(20, 16)),  # no fewer
    ],
)
def test_a_large_one_has_as_many_as_take_no_longer(job: Job, multiplications: int, expected: Effort) -> None:
    assert recovery_effort(_of_size(job, multiplications), None) == expected


def test_losses_are_measured_on_fewer_examples_of_a_large_network(job: Job) -> None:
    assert loss_examples(job) == 256
    assert loss_examples(_of_size(job, 65_536_000)) == 152
    assert loss_examples(_of_size(job, 1_800_000_000)) == 32
