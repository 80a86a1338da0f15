"""An fp32 model computes as its int8 program: the same steps, weights folded as deployed, gradients through."""

import copy

import networks
import onnxruntime as ort
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from toolkit.compression import fold_all
from toolkit.distillation import fake_quantised, quantised_layers, read_ranges
from toolkit.inputs import inputs_of
from toolkit.runtimes import RUNTIMES, export_with_holes
from toolkit.runtimes.arithmetic import FP32, Activations, Arithmetic, Quantisation, Ranges


def _quantisation(x: torch.Tensor, activations: Activations = "signed", *fp32: str) -> Quantisation:
    return Quantisation(Arithmetic("int8", activations), inputs_of(x), fp32_layers=frozenset(fp32))


@torch.no_grad()
def _rounded(model: nn.Module, x: torch.Tensor, quantisation: Quantisation) -> torch.Tensor:
    with fake_quantised(model, quantisation, read_ranges(model, quantisation)):
        return model(x)


class Chain(nn.Module):
    """Convolutions in a row, each with batch normalisation and one with a shortcut, then a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.inner, self.norm2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.second, self.norm3 = nn.Conv2d(8, 16, 3, 2, padding=1), nn.BatchNorm2d(16)
        self.relu, self.flatten, self.last = nn.ReLU(), nn.Flatten(), nn.Linear(16 * 6 * 6, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm1(self.first(x)))
        y = self.norm2(self.inner(x))
        y += x
        return self.last(self.flatten(self.relu(self.norm3(self.second(self.relu(y))))))


@pytest.fixture
def chain() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    model, x = Chain(), torch.randn(64, 3, 12, 12)
    for norm in (model.norm1, model.norm2, model.norm3):
        norm.weight.data.uniform_(-1.5, 1.5)  # a negative one turns a channel's range around
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
    return model.eval(), x


def _exported(model: nn.Module, quantisation: Quantisation, x: torch.Tensor) -> torch.Tensor:
    """What the exporter's program computes, node by node so that no kernel differs, on one example at a time."""
    made = RUNTIMES["onnxruntime"].export(export_with_holes(fold_all(model), inputs_of(x[:1]), ()), (), quantisation)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(made.data, options)
    name = session.get_inputs()[0].name
    return torch.cat([torch.from_numpy(session.run(None, {name: each.numpy()})[0]) for each in x.split(1)])


@pytest.mark.parametrize(
    ("rank", "activations", "ranges", "fp32"),
    [
        (None, "signed", "minmax", ()),
        (3, "unsigned", "minmax", ()),
        (3, "signed", "percentile", ()),
        (None, "signed", "entropy", ()),
        (3, "unsigned", "entropy", ()),
        (None, "unsigned", "minmax", ("first",)),
        (3, "dynamic", "minmax", ()),
    ],
)
def test_it_computes_what_onnx_runtimes_program_does(
    chain: tuple[nn.Module, torch.Tensor], rank: int | None, activations: Activations, ranges: Ranges, fp32: tuple[str]
) -> None:
    model, x = chain
    if rank:
        model = networks.compacted(model, nn.Linear(12, 3), x, rank)
    quantisation = Quantisation(Arithmetic("int8", activations), inputs_of(x), ranges, frozenset(fp32))
    theirs, mine = _exported(model, quantisation, x), _rounded(model, x, quantisation)
    with torch.no_grad():
        exact = model(x)
    step = (theirs.max() - theirs.min()) / 255  # a static program rounds its outputs as well
    clipped = (
        (theirs == theirs.max()) | (theirs == theirs.min()) if ranges != "minmax" else torch.zeros_like(theirs) > 0
    )
    apart = ((mine - theirs).abs() / step)[~clipped]  # it clips its outputs as well
    assert apart.quantile(0.95) < 1
    assert apart.max() < 5  # a value between two steps may go either way, and what follows with it
    # The rounding of the outputs alone leaves 1 / 12; a model that is not rounded is another one.
    assert apart.square().mean() < min(2 / 12, 0.6 * ((exact - theirs) / step)[~clipped].square().mean())


@pytest.mark.parametrize(("rank", "fp32"), [(None, ()), (3, ()), (None, ("first",))])
def test_in_fp16_too(chain: tuple[nn.Module, torch.Tensor], rank: int | None, fp32: tuple[str, ...]) -> None:
    """As far from the fp32 network as its program is, though not in the same places: what lies between is fp32 here."""
    model, x = chain
    if rank:
        model = networks.compacted(model, nn.Linear(12, 3), x, rank)
    quantisation = Quantisation(Arithmetic("fp16"), inputs_of(x), fp32_layers=frozenset(fp32))
    theirs, mine = _exported(model, quantisation, x), _rounded(model, x, quantisation)
    with torch.no_grad():
        exact = model(x)
    assert 0.25 < (mine - exact).abs().mean() / (theirs - exact).abs().mean() < 4


def test_what_fp16_does_not_have_is_infinite() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    nn.init.constant_(model[0].weight, 1e4)
    nn.init.constant_(model[1].weight, 1e-6)
    x = torch.full((1, 2), 10.0)
    half = Quantisation(Arithmetic("fp16"), inputs_of(x))
    assert torch.isinf(_rounded(model, x, half)).all()
    spared = Quantisation(Arithmetic("fp16"), inputs_of(x), fp32_layers=frozenset({"0", "1"}))
    assert _rounded(model, x, spared).equal(model(x))
    assert torch.isfinite(model(x)).all()  # the class's own forward again


def test_convolutions_along_one_dimension_are_rounded_as_the_program_rounds_them() -> None:
    torch.manual_seed(0)
    layers = nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Conv1d(8, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6)
    model, x = nn.Sequential(*layers).eval(), torch.randn(64, 4, 20)
    quantisation = _quantisation(x)
    assert list(quantised_layers(model, quantisation)) == ["0", "2", "5"]
    theirs, mine = _exported(model, quantisation, x), _rounded(model, x, quantisation)
    step = (theirs.max() - theirs.min()) / 255
    assert ((mine - theirs).abs() / step).quantile(0.95) < 1
    with torch.no_grad():
        assert ((mine - theirs) / step).square().mean() < ((model(x) - theirs) / step).square().mean()


def test_operands_of_sums_are_rounded_in_each_call_alike(chain: tuple[nn.Module, torch.Tensor]) -> None:
    model, x = chain
    quantisation = _quantisation(x)
    ranges = read_ranges(model, quantisation)
    assert {name for name in ranges if name.startswith("sum")} == {"sum 0 left", "sum 0 right"}
    layers_alone = {name: limits for name, limits in ranges.items() if not name.startswith("sum")}
    with torch.no_grad(), fake_quantised(model, quantisation, ranges):
        first, second = model(x), model(x)
    with torch.no_grad(), fake_quantised(model, quantisation, layers_alone):
        without = model(x)
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    assert not torch.equal(first, without)


def test_outside_and_with_another_arithmetic_nothing_changes(chain: tuple[nn.Module, torch.Tensor]) -> None:
    model, x = chain
    with torch.no_grad():
        before = model(x)
        assert not torch.equal(_rounded(model, x, _quantisation(x)), before)
        torch.testing.assert_close(model(x), before, atol=0, rtol=0)
        torch.testing.assert_close(_rounded(model, x, Quantisation(FP32, inputs_of(x))), before, atol=0, rtol=0)


def test_it_is_undone_when_something_breaks_inside(chain: tuple[nn.Module, torch.Tensor]) -> None:
    model, x = chain
    quantisation = _quantisation(x)
    with pytest.raises(KeyError), fake_quantised(model, quantisation, {}):
        raise KeyError
    assert not any("forward" in vars(module) for module in model.modules())


def test_layers_that_stay_fp32_stay_so(chain: tuple[nn.Module, torch.Tensor]) -> None:
    model, x = chain
    compact = networks.compacted(model, nn.Linear(12, 3), x)
    assert list(quantised_layers(model, _quantisation(x))) == ["first", "inner", "second", "last"]
    found = quantised_layers(compact, _quantisation(x, "signed", "inner", "last", "first.up"))
    assert list(found) == ["first.down", "second.down", "second.up"]
    assert list(quantised_layers(model, _quantisation(x, "dynamic"))) == ["last"]
    every = ("first", "inner", "second", "last")
    with torch.no_grad():
        exact = _rounded(compact, x, _quantisation(x, "signed", *every))
        torch.testing.assert_close(exact, compact(x), atol=0, rtol=0)


def test_gradients_reach_all_factors_as_if_nothing_were_rounded(chain: tuple[nn.Module, torch.Tensor]) -> None:
    model, x = chain
    compact = networks.compacted(model, nn.Linear(12, 3), x).requires_grad_(True)
    straight = copy.deepcopy(compact)
    quantisation = _quantisation(x)
    with fake_quantised(compact, quantisation, read_ranges(compact, quantisation)):
        compact(x).square().mean().backward()
    straight(x).square().mean().backward()
    for (name, mine), theirs in zip(compact.named_parameters(), straight.parameters(), strict=True):
        assert mine.grad is not None, name
        similar = torch.nn.functional.cosine_similarity(mine.grad.flatten(), theirs.grad.flatten(), dim=0)
        assert similar > 0.97, name


def test_an_input_beyond_the_range_is_clipped_and_gets_no_gradient() -> None:
    model = nn.Sequential(nn.Linear(2, 1, bias=False))
    model[0].weight.data.fill_(1.0)
    quantisation, x = _quantisation(torch.zeros(1, 2)), torch.tensor([[0.5, 8.0]], requires_grad=True)
    with fake_quantised(model, quantisation, {"0": torch.tensor([-1.0, 1.0])}):
        y = model(x)
    y.sum().backward()
    assert y.item() == pytest.approx(1.5, abs=2 * 2 / 255)
    assert x.grad.tolist() == [[1.0, 0.0]]


def test_dynamic_ranges_are_those_of_each_example() -> None:
    """The board sees one at a time: a wild example costs the others nothing."""
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(16, 4)), torch.randn(8, 16)
    wild = torch.cat([x, 1e4 * torch.ones(1, 16)])
    quantisation = _quantisation(x, "dynamic")
    torch.testing.assert_close(_rounded(model, wild, quantisation)[:8], _rounded(model, x, quantisation))


@given(st.integers(0, 2**31), st.sampled_from(["signed", "unsigned", "dynamic"]))
def test_what_is_rounded_is_rounded_to_itself(seed: int, activations: Activations) -> None:
    generator = torch.Generator().manual_seed(seed)
    model, x = nn.Sequential(nn.Linear(5, 5, bias=False)), torch.randn(4, 5, generator=generator)
    model[0].weight.data.copy_(torch.eye(5))
    quantisation = _quantisation(x, activations)
    once = _rounded(model, x, quantisation)
    torch.testing.assert_close(_rounded(model, once, quantisation), once)
    step = (x.amax().clamp_min(0) - x.amin().clamp_max(0)) / 255
    assert (once - x).abs().max() <= 0.51 * step


@pytest.mark.parametrize("activations", ["signed", "unsigned", "dynamic"])
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_inputs_and_weights_of_zero_stay_finite(activations: Activations, value: float) -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2))
    model[0].weight.data.zero_()
    x = torch.full((3, 4), value)
    found = _rounded(model, x, _quantisation(x, activations))
    assert found.isfinite().all()
    torch.testing.assert_close(found, model(x).detach(), atol=0.02, rtol=0.02)


def test_folded_batch_normalisation_rounds_weights_to_the_same_values(chain: tuple[nn.Module, torch.Tensor]) -> None:
    """Each output channel has its own step, which the normalisation scales with the weights."""
    model, x = chain
    quantisation = _quantisation(x)
    folded = copy.deepcopy(model)
    for conv, norm in (("first", "norm1"), ("inner", "norm2"), ("second", "norm3")):
        setattr(folded, conv, torch.nn.utils.fuse_conv_bn_eval(getattr(model, conv), getattr(model, norm)))
        setattr(folded, norm, nn.Identity())
    rounded = _rounded(model, x, quantisation)
    with torch.no_grad():
        error = (rounded - model(x)).square().mean()
    # What lies between two steps goes either way by the last bit.
    assert (rounded - _rounded(folded.eval(), x, quantisation)).square().mean() < 0.02 * error
