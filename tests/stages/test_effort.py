"""A large network is trained for as long as a small one by default, and less of it is measured."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from workplace import MODEL, PLAIN, TASK, inside, make_workplace

from toolkit import stages
from toolkit.choice import Choice, all_dense, keep, rank
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch
from toolkit.stages.effort import (
    Effort,
    counts_worth_a_loss,
    is_large,
    layers_worth_s,
    learning_steps,
    loss_examples,
    macs,
    ranks_worth_a_loss,
    recovery_effort,
    wants_training,
)
from toolkit.stages.load import Job
from toolkit.stages.whole_models import FASTEST, fewer

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
        # Each 256 of them are one value, which counts as 400 more: 1.2e13 in 4 passes over 25,600 examples.
        (45_700_000, Effort(400, 64)),
        (45_800_000, Effort(400, 16)),
        (249_000_000, Effort(293, 16)),
        (251_000_000, Effort(145, 16)),  # 6e12 of a large one
        (4_000_000_000, Effort(20, 16)),  # no fewer
    ],
)
def test_a_large_one_has_as_many_as_take_no_longer(job: Job, multiplications: int, expected: Effort) -> None:
    assert recovery_effort(_of_size(job, multiplications), None) == expected


_INT8 = {"layer": Choice(precision="int8"), "other": Choice()}


@pytest.mark.parametrize(
    ("chosen", "lost", "asked", "trained"),
    [
        ({"layer": Choice()}, 0.0, 400, False),
        (_INT8, 0.01, None, False),
        (_INT8, 0.011, None, True),
        (_INT8, float("nan"), None, True),
        (_INT8, 0.0, 38, True),
        ({**_INT8, "other": rank(8)}, 0.0, None, True),
    ],
)
def test_a_large_network_that_loses_nothing_by_its_precision_is_trained_where_that_is_asked_for(
    job: Job, chosen: dict[str, Choice], lost: float, asked: int | None, trained: bool
) -> None:
    large = _of_size(job, 1_800_000_000)
    assert wants_training(large, chosen, {"int8": lost}.__getitem__, asked) is trained
    assert wants_training(job, chosen, {"int8": lost}.__getitem__, asked) is (chosen != {"layer": Choice()})


def test_losses_are_measured_on_fewer_examples_of_a_large_network(job: Job) -> None:
    assert loss_examples(job) == 256
    assert loss_examples(_of_size(job, 65_536_000)) == 152
    assert loss_examples(_of_size(job, 1_800_000_000)) == 32


@pytest.mark.parametrize(
    ("multiplications", "ranks", "counts"),
    [
        (130_000_000, (8, 32, 56), (8, 24, 40, 56)),  # a ResNet-56 for 32 x 32: ends and a middle, and every other
        (279_000_000, (8, 56), (8, 32, 56)),  # a MobileNetV2 for 224 x 224
    ],
)
def test_fewer_losses_of_a_large_network_are_measured(
    job: Job, multiplications: int, ranks: tuple[int, ...], counts: tuple[int, ...]
) -> None:
    sized, sizes = _of_size(job, multiplications), range(8, 57, 8)
    layers = {"layer": tuple(map(rank, sizes)), "narrow": (rank(8),), "dense": ()}
    assert ranks_worth_a_loss(sized, layers) == {"layer": tuple(map(rank, ranks)), "narrow": (rank(8),), "dense": ()}
    groups = {"group": tuple(map(keep, sizes))}
    assert counts_worth_a_loss(sized, groups) == {"group": tuple(map(keep, counts))}


def test_fewer_models_and_layers_of_a_large_network_are_timed(job: Job) -> None:
    large = _of_size(job, 1_800_000_000)
    assert (is_large(job), layers_worth_s(job)) == (False, 60.0)
    assert (is_large(large), layers_worth_s(large)) == (True, 20.0)
    candidates = [(label, all_dense({})) for label in ("first", "second", "third", FASTEST, "random 1")]
    assert [label for label, _ in fewer(candidates)] == ["first", "second", FASTEST]


def test_a_board_learns_a_large_network_in_fewer_steps(job: Job) -> None:
    """4.5e12 over 4 trainings, of 4 passes: ResNet-18 from 15 examples, and from 1."""
    large = _of_size(job, 1_800_000_000)
    many = replace(large, task=replace(large.task, support=large.task.support[[0] * 15]))
    assert (learning_steps(job, None), learning_steps(job, 7)) == (40, 7)
    assert (learning_steps(large, None), learning_steps(many, None), learning_steps(many, 60)) == (40, 10, 60)
