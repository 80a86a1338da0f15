"""What people wrap round a model comes off, weights that are computed become what they are, the rest is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_model, save_model
from torch import nn
from torch.ao.quantization import get_default_qat_qconfig, prepare_qat, quantize_dynamic
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from toolkit.errors import BadInput
from toolkit.plain import make_plain


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def with_first(change: Callable[[nn.Linear], Any]) -> nn.Sequential:
    model = net()
    assert isinstance(model[0], nn.Linear)
    change(model[0])
    return model


class Versioned(nn.Linear):
    def get_extra_state(self) -> dict[str, int]:
        return {"version": 1}

    def set_extra_state(self, state: dict[str, int]) -> None:
        assert state == {"version": 1}


@pytest.mark.parametrize(
    "wrap",
    [
        torch.compile,
        nn.DataParallel,
        lambda model: nn.Sequential(torch.compile(model[0]), *model[1:]),
        lambda model: torch.compile(nn.DataParallel(model)),
    ],
    ids=["compiled", "parallel", "a compiled part", "both"],
)
def test_wrappers_come_off(wrap: Callable[[nn.Sequential], nn.Module]) -> None:
    model = net()
    plain, x = make_plain(wrap(model), "here"), torch.randn(4, 6)
    assert [type(module) for module in plain.modules()] == [type(module) for module in net().modules()]
    torch.testing.assert_close(plain(x), model(x))


@pytest.mark.parametrize(
    "change",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        weight_norm,
        spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
    ids=["weight norm", "spectral norm", "weight norm by a hook", "spectral norm by a hook", "pruned"],
)
def test_weights_become_what_they_compute(change: Callable[[nn.Linear], Any]) -> None:
    model, x = with_first(change).eval(), torch.randn(4, 6)
    expected = model(x)
    plain = make_plain(model, "here")
    assert dict(plain.named_parameters()).keys() == dict(net().named_parameters()).keys()
    assert not plain[0]._forward_pre_hooks  # type: ignore[index]
    torch.testing.assert_close(plain(x), expected)


def test_gradients_pass_through_what_was_frozen_and_integers_stay_as_they_are() -> None:
    model = net().requires_grad_(False).double()
    model.register_parameter("table", nn.Parameter(torch.arange(3), requires_grad=False))
    plain = make_plain(model, "here")
    assert [parameter.requires_grad for parameter in plain.parameters()] == [False, True, True, True, True]
    assert {parameter.dtype for parameter in plain.parameters()} == {torch.int64, torch.float32}


def test_a_state_that_is_no_tensor_stays_with_the_object(tmp_path: Path) -> None:
    model = make_plain(nn.Sequential(Versioned(6, 3)), "here")
    assert model.state_dict().keys() == {"0.weight", "0.bias"}
    save_model(model, str(tmp_path / "weights.safetensors"))
    load_model(model, tmp_path / "weights.safetensors")


def prepared() -> nn.Module:
    model = net().train()
    model.qconfig = get_default_qat_qconfig("fbgemm")  # type: ignore[assignment]
    return prepare_qat(model)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: torch.jit.script(net()), "TorchScript"),
        (lambda: nn.Sequential(torch.jit.script(net())), "TorchScript"),
        (lambda: quantize_dynamic(net(), {nn.Linear}, dtype=torch.qint8), "quantised already"),
        (prepared, "prepared for quantisation"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), "size"),
    ],
    ids=["scripted", "scripted part", "quantised", "prepared", "lazy"],
)
def test_what_cannot_travel_is_refused_by_its_name(make: Callable[[], nn.Module], word: str) -> None:
    with pytest.raises(BadInput, match=word) as caught:
        make_plain(make(), "my_package:model")
    assert caught.value.where == "my_package:model"
    assert len(str(caught.value).splitlines()) <= 2
