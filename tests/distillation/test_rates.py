"""Each tensor is moved by the same share of its size."""

import copy
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from toolkit.distillation import Checkpoint, kd, recover
from toolkit.distillation.rates import relative_rates
from toolkit.recipe import parse_recipe
from toolkit.tasks import Examples


def test_a_rate_is_two_percent_of_a_tensors_root_mean_square() -> None:
    kernel, matrix, bias = torch.full((3, 2, 3, 3), 0.3), torch.full((2, 3), -0.1), torch.zeros(3)
    rates = [rate for _, rate in relative_rates([kernel, matrix, bias])]
    together = ((54 * 0.3**2 + 6 * 0.1**2) / 60) ** 0.5  # 54 weights of 0.3 and 6 of 0.1
    assert rates == pytest.approx([0.006, 0.002, 0.02 * together])


def test_what_is_zero_may_grow() -> None:
    rates = [rate for _, rate in relative_rates([torch.ones(4, 4), torch.zeros(4, 4)])]
    assert rates == pytest.approx([0.02, 0.1 * 0.02 * 0.5**0.5])


def test_of_nothing_there_are_none() -> None:
    assert relative_rates([]) == []


@given(st.floats(1e-3, 1e3))
def test_a_network_of_another_scale_is_moved_as_far_for_its_size(scale: float) -> None:
    tensors = list(nn.Linear(5, 4).parameters())
    scaled = [scale * each.detach() for each in tensors]
    for (_, rate), (_, other) in zip(relative_rates(tensors), relative_rates(scaled), strict=True):
        assert other == pytest.approx(scale * rate, rel=1e-5)


def test_recovery_trains_at_them_where_no_rate_is_given_and_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 12)).requires_grad_(False)
    head, x = nn.Linear(12, 3).requires_grad_(False), torch.randn(96, 8)
    head.weight *= 20  # sure of itself, as a trained one is
    start = copy.deepcopy(teacher).requires_grad_(True)
    for parameter in start.parameters():
        parameter.data += 0.3 * parameter.std() * torch.randn_like(parameter)
    examples = Examples(x, head(teacher(x)).argmax(1))

    def distance(student: nn.Module) -> float:
        with torch.no_grad():
            return float(kd(head(student(x)), head(teacher(x)), 2.0))

    def train(checkpoint: Checkpoint | None, stop: int | None = None) -> nn.Module:
        def on_progress(done: int, total: int) -> None:
            if done == stop:
                raise KeyboardInterrupt

        student = copy.deepcopy(start)
        how = {"recipe": parse_recipe("kd+network"), "steps": 120, "seed": 0, "on_progress": on_progress}
        recover(student, teacher, head, examples, learning_rate=None, checkpoint=checkpoint, **how)
        return student

    whole, checkpoint = train(None), Checkpoint(tmp_path / "state.pt", every_s=0, share=math.inf)
    assert distance(whole) < 0.1 * distance(start)
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint, stop=50)
    resumed = train(checkpoint)
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in resumed.state_dict().items())
