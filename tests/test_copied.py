"""Copies of some modules of a network."""

import torch
from torch import nn

from toolkit.copied import copied_at


def test_named_modules_and_what_holds_them_are_the_copy_s_own_and_the_others_are_not() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)))
    x = torch.randn(3, 4)
    before = model(x)
    copied = copied_at(model, ["1.0"])
    assert torch.equal(copied(x), before)
    assert copied[0] is model[0]
    assert copied[1] is not model[1]
    assert copied[1][1] is model[1][1]
    with torch.no_grad():
        copied[1][0].weight.zero_()
    copied[1][1] = nn.Identity()
    assert torch.equal(model(x), before)
    assert not torch.equal(copied_at(model, ["1"])(x), copied(x))


def test_all_that_is_in_a_named_module_is_the_copy_s_own() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)))
    copied = copied_at(model, ["1"])
    assert copied[1][1] is not model[1][1]
    assert copied[1][1].weight is not model[1][1].weight
