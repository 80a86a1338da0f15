"""Recovery under fake quantisation: what is trained is what is deployed."""

import contextlib
import copy
import math
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from toolkit.compression import make_bases_orthonormal
from toolkit.distillation import Checkpoint, fake_quantise, fake_quantised, kd, read_ranges, recover
from toolkit.distillation.rounding import start_rounding
from toolkit.inputs import Inputs
from toolkit.recipe import parse_recipe
from toolkit.runtimes.arithmetic import FP32, Activations, Arithmetic, Quantisation
from toolkit.tasks import Examples

_Learned = tuple[nn.Module, nn.Linear, Examples, Examples]


class Cut(Exception):
    """Stands for whatever ends a process in the middle of its work."""


@pytest.fixture(scope="module")
def learned() -> _Learned:
    """A small network that tells handwritten digits apart, its head, and what it learned from and is judged on."""
    data = load_digits()
    x, y = torch.tensor(data.images / 16, dtype=torch.float32).flatten(1), torch.tensor(data.target)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, test = (Examples(x[index], y[index]) for index in (order[:1200], order[1200:]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU())
        head = nn.Linear(24, 10)
        optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=5e-3)
        for _ in range(300):
            index = torch.randint(len(train), (64,))
            optimizer.zero_grad()
            F.cross_entropy(head(network(*train.x[index])), train.y[index]).backward()
            optimizer.step()
    return network.eval().requires_grad_(False), head.requires_grad_(False), train, test


def _int8(x: Inputs, activations: Activations = "signed") -> Quantisation:
    return Quantisation(Arithmetic("int8", activations), x[:256])


def _start(learned: _Learned, rank: int | None) -> nn.Module:
    teacher, head, train, _ = learned
    student = networks.compacted(teacher, head, train.x.tensors["x"][:256], rank) if rank else copy.deepcopy(teacher)
    student[0].requires_grad_(True)
    return student


def _recovered(learned: _Learned, start: nn.Module, quantised: Quantisation | None, **how: Any) -> nn.Module:
    teacher, head, train, _ = learned
    student = copy.deepcopy(start)
    how = {"recipe": parse_recipe("kd+features+network"), "steps": 150, "on_progress": lambda *_: None} | how
    recover(student, teacher, head, train, quantised=quantised, seed=0, **how)
    return student


@torch.no_grad()
def _loss(learned: _Learned, student: nn.Module, quantisation: Quantisation) -> float:
    """Of the int8 program that would be exported: the stage before makes bases orthonormal."""
    student = copy.deepcopy(student)
    make_bases_orthonormal(student)
    teacher, head, _, test = learned
    with fake_quantised(student, quantisation, read_ranges(student, quantisation)):
        return float(kd(head(student(*test.x)), head(teacher(*test.x)), 2.0))


@pytest.mark.parametrize("activations", ["signed", "dynamic"])
@pytest.mark.parametrize("rank", [None, 6])
def test_a_coarse_program_loses_far_less_if_recovery_knew_of_it(
    learned: _Learned, activations: Activations, rank: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three bits for weights and four for inputs: by eight, a network this small loses next to nothing."""
    monkeypatch.setattr(fake_quantise, "_WEIGHT_MOST", 3)
    monkeypatch.setattr(fake_quantise, "_STEPS", 15)
    quantisation, start = _int8(learned[2].x, activations), _start(learned, rank)
    plain, knowing = (_loss(learned, _recovered(learned, start, each), quantisation) for each in (None, quantisation))
    assert knowing < 0.7 * plain


@pytest.mark.parametrize("activations", ["signed", "unsigned", "dynamic"])
@pytest.mark.parametrize("rank", [None, 6])
def test_an_int8_program_loses_no_more_if_recovery_knew_of_it(
    learned: _Learned, activations: Activations, rank: int | None
) -> None:
    quantisation, start = _int8(learned[2].x, activations), _start(learned, rank)
    plain, knowing = (_loss(learned, _recovered(learned, start, each), quantisation) for each in (None, quantisation))
    assert knowing < 1.02 * plain


def test_the_weights_are_plain_ones_afterwards(learned: _Learned) -> None:
    start = _start(learned, 6)
    student = _recovered(learned, start, _int8(learned[2].x), steps=5)
    assert not any("forward" in vars(module) for module in student.modules())
    assert {name: value.dtype for name, value in student.state_dict().items()} == {
        name: value.dtype for name, value in start.state_dict().items()
    }
    weight = student[0].down.weight
    assert len(weight.unique()) > 255  # no grid of steps


def test_compact_layers_end_in_the_form_in_which_they_are_deployed(learned: _Learned) -> None:
    student = _recovered(learned, _start(learned, 6), _int8(learned[2].x), steps=25)
    deployed = copy.deepcopy(student)
    make_bases_orthonormal(deployed)
    for name, value in deployed.state_dict().items():
        torch.testing.assert_close(value, student.state_dict()[name], atol=1e-5, rtol=1e-5)


def test_where_nothing_is_int8_nothing_changes(learned: _Learned) -> None:
    start, x = _start(learned, 6), learned[2].x
    plain, other = (_recovered(learned, start, each, steps=12).state_dict() for each in (None, Quantisation(FP32, x)))
    assert all(torch.equal(plain[name], other[name]) for name in plain)


def test_a_prefix_of_a_core_is_refused(learned: _Learned) -> None:
    start, x = _start(learned, 6), learned[2].x
    with pytest.raises(ValueError, match="prefix"):
        _recovered(learned, start, _int8(x), narrowed=lambda _: contextlib.nullcontext())


@pytest.mark.parametrize("ranges", ["minmax", "percentile"])
def test_one_that_was_cut_off_ends_as_one_that_was_not(learned: _Learned, ranges: str, tmp_path: Path) -> None:
    """Between two readings of the ranges, too."""
    start, steps, cut = _start(learned, 6), 80, 38  # read every fourth step
    quantisation = Quantisation(Arithmetic("int8", "unsigned"), learned[2].x[:64], ranges)  # type: ignore[arg-type]
    checkpoint = Checkpoint(tmp_path / "state.pt", every_s=0, share=math.inf)

    def stop(done: int, total: int) -> None:
        if done == cut:
            raise Cut

    whole = _recovered(learned, start, quantisation, steps=steps).state_dict()
    with pytest.raises(Cut):
        _recovered(learned, start, quantisation, steps=steps, checkpoint=checkpoint, on_progress=stop)
    computed: list[int] = []
    resumed = _recovered(
        learned,
        start,
        quantisation,
        steps=steps,
        checkpoint=checkpoint,
        on_progress=lambda done, total: computed.append(done),
    ).state_dict()
    assert len(computed) == steps - cut
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize(("steps", "batch", "every"), [(400, 64, 20), (80, 64, 4), (46, 16, 10)])
def test_ranges_are_read_so_often_that_training_takes_hardly_longer(
    learned: _Learned, steps: int, batch: int, every: int
) -> None:
    """Sixty-four examples are 0.4 of what ten steps of sixteen train on."""
    quantisation = Quantisation(Arithmetic("int8", "unsigned"), learned[2].x[:64])
    rounding = start_rounding(_start(learned, 6), quantisation, steps, batch, orthonormal=False)
    assert rounding is not None
    assert rounding.every == every
