"""Prefixes: inside, layers compute as truncated ones do; trained so, truncated ones are better."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.choices import ranks
from toolkit.compression import (
    CURVES,
    CalibrationSet,
    Labelled,
    compact_layers,
    compress,
    compressible_layers,
    draw_prefixes,
    prefixes,
    random_prefixes,
)
from toolkit.inputs import inputs_of
from toolkit.tasks import Examples

_RANK = 8


def _truncated(model: nn.Module, sizes: dict[str, int]) -> nn.Module:
    smaller = copy.deepcopy(model)
    for name, rank in sizes.items():
        parent, _, attribute = name.rpartition(".")
        layer = compact_layers(model)[name]
        setattr(smaller.get_submodule(parent), attribute, layer.truncate(rank))
    return smaller


@pytest.fixture
def teacher() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(192, 24), nn.Tanh(), nn.Linear(24, 12)
    ).eval()


@pytest.fixture
def student(teacher: nn.Module) -> nn.Module:
    x = torch.randn(64, 1, 4, 4)
    layers = compressible_layers(teacher, inputs_of(x[:1]))
    data = CalibrationSet(Labelled(Examples(x, torch.zeros(64, dtype=torch.int64)), nn.Identity()))
    return compress(teacher, CURVES["jactus"](teacher, layers, data, 0), ranks({"0": 4, "3": _RANK, "5": _RANK - 1}))


def test_inside_a_prefix_a_model_computes_what_the_truncated_one_computes(student: nn.Module) -> None:
    x, sizes = torch.randn(5, 1, 4, 4), {"0": 2, "3": 3, "5": 7}
    whole = student(x)
    with prefixes(student, sizes):
        inside = student(x)
    torch.testing.assert_close(inside, _truncated(student, sizes)(x))
    assert torch.equal(student(x), whole)


def test_gradients_reach_the_prefix_of_a_core_and_nothing_else(student: nn.Module) -> None:
    with prefixes(student, {"0": 2, "3": 3, "5": 7}):
        loss = student(torch.randn(5, 1, 4, 4)).square().sum()
    loss.backward()
    gradient = compact_layers(student)["3"].core.weight.grad
    assert gradient is not None
    assert gradient[:3, :3].abs().min() > 0
    assert gradient[3:].abs().max() == gradient[:, 3:].abs().max() == 0


@pytest.mark.parametrize("rank", [0, 9])
def test_what_is_no_prefix_is_refused(student: nn.Module, rank: int) -> None:
    with pytest.raises(ValueError, match=f"rank {rank} is not a prefix of rank 8"), prefixes(student, {"3": rank}):
        pass


def test_half_of_the_draws_are_the_whole_and_the_others_one_share_of_every_layer(student: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_prefixes(student, generator) for _ in range(400)]
    whole = {name: layer.rank for name, layer in compact_layers(student).items()}
    assert 180 <= sum(each == whole for each in drawn) <= 250  # binomial, and shares above 7/8
    assert {each["3"] for each in drawn} == set(range(1, _RANK + 1))
    for each in drawn:
        assert all(1 <= each[name] <= whole[name] for name in whole)
        assert max(each[name] / whole[name] for name in whole) - min(each[name] / whole[name] for name in whole) <= 0.25


def test_a_core_trained_nested_is_better_when_truncated_and_as_good_whole(
    student: nn.Module, teacher: nn.Module
) -> None:
    nested, plain = copy.deepcopy(student), copy.deepcopy(student)
    held_out = torch.randn(256, 1, 4, 4, generator=torch.Generator().manual_seed(2))

    def train(model: nn.Module, narrow: bool) -> None:
        generator = torch.Generator().manual_seed(1)
        optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], 3e-3)
        for _ in range(150):
            x = torch.randn(64, 1, 4, 4, generator=generator)
            with random_prefixes(model, generator) if narrow else prefixes(model, {}):
                loss = F.mse_loss(model(x), teacher(x).detach())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    train(nested, narrow=True)
    train(plain, narrow=False)

    @torch.no_grad()
    def error(model: nn.Module, share: float) -> float:
        sizes = {name: max(1, int(share * layer.rank)) for name, layer in compact_layers(model).items()}
        return float(F.mse_loss(_truncated(model, sizes)(held_out), teacher(held_out)))

    for share in (0.25, 0.5, 0.75):
        assert error(nested, share) < error(plain, share)
    assert error(nested, 1.0) < 1.3 * error(plain, 1.0)
