"""int8 programs of ExecuTorch compute nearly what torch does, with the holes that the board fills."""

from pathlib import Path

import numpy as np
import pytest
import torch
from native import run_verb, served, timing
from networks import build
from torch import nn
from torch.nn import functional

from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.runtimes import Program, executorch, export_with_holes
from toolkit.runtimes.arithmetic import FP32, Activations, Arithmetic, Quantisation

pytestmark = pytest.mark.usefixtures("compiler")


def int8(activations: Activations, examples: torch.Tensor, *fp32: str) -> Quantisation:
    return Quantisation(Arithmetic("int8", activations), inputs_of(examples), "minmax", frozenset(fp32))


def run(program: Program, x: torch.Tensor) -> np.ndarray:
    """The first output for each example, in ExecuTorch's own Python runtime."""
    from executorch.runtime import Runtime as PythonRuntime

    loaded = PythonRuntime.get().load_program(program.data)
    method = loaded.load_method("forward")
    return np.concatenate([method.execute([each[None].contiguous()])[0].numpy().copy() for each in x])


def decibels(found: np.ndarray, expected: np.ndarray) -> float:
    """How much larger the signal is than what int8 adds to it."""
    return float(10 * np.log10((expected**2).sum() / ((found - expected) ** 2).sum()))


@torch.no_grad()
def expected(model: nn.Module, x: torch.Tensor) -> np.ndarray:
    outputs: np.ndarray = model(x).numpy()
    return outputs


# Steps of 1/256 of a range leave about 40 dB. Seen: 43.9 resnet, 39.9 and 46.9 mlp, 39.3 and 44.8 attention.
@pytest.mark.parametrize(
    ("network", "activations"),
    [("resnet", "signed"), ("mlp", "signed"), ("mlp", "dynamic"), ("attention", "signed"), ("attention", "dynamic")],
)
def test_outputs_are_near_those_of_fp32(network: str, activations: Activations) -> None:
    torch.manual_seed(0)
    model, x = build(network)
    examples = torch.randn(24, *x.shape[1:])
    program = executorch.export(export_with_holes(model.eval(), inputs_of(x[:1]), ()), (), int8(activations, examples))
    assert program.fp32_layers == ()
    assert program.nodes.delegated > 0
    assert decibels(run(program, examples), expected(model, examples)) > 35


_PADDED = {
    "into fp32": lambda y, more: more(y) + functional.pad(y, (0, 0, 0, 0, 2, 2))[:, 2:10],
    "into int8": lambda y, more: more(functional.pad(y, (1, 1, 1, 1))),
    "with ones": lambda y, more: more(y) + functional.pad(y, (0, 0, 0, 0, 2, 2), value=1.0)[:, 2:10],
    "at the end": lambda y, more: functional.pad(more(y), (1, 0, 0, 1)),
    "before an activation": lambda y, more: more(torch.relu(functional.pad(y, (1, 1, 1, 1)))),
    "joined": lambda y, more: torch.cat([more(y), functional.pad(y, (0, 0, 0, 0, 2, 2))], 1),
    "every other of": lambda y, more: more(y)[:, :, ::2, ::2] + functional.pad(y[:, :4, ::2, ::2], (0, 0) * 2 + (2, 2)),
}


@pytest.mark.parametrize("padded", list(_PADDED))
def test_what_is_padded_can_be_loaded_and_computes_the_same(padded: str) -> None:
    """A ResNet's shortcut without weights could not: its delegate took fp32 for int8."""

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.more = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = _PADDED[padded](torch.relu(self.first(x)), self.more)
            return y

    torch.manual_seed(0)
    model, examples = Network().eval(), torch.randn(16, 3, 8, 8)
    program = executorch.export(export_with_holes(model, inputs_of(examples[:1]), ()), (), int8("signed", examples))
    assert decibels(run(program, examples), expected(model, examples)) > 35


def test_layers_that_shall_stay_in_fp32_do() -> None:
    torch.manual_seed(0)
    model, x = build("resnet")
    examples = torch.randn(8, *x.shape[1:])
    graph = export_with_holes(model.eval(), inputs_of(x[:1]), ())
    names = [name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    program = executorch.export(graph, (), int8("signed", examples, *names))
    np.testing.assert_allclose(run(program, examples), expected(model, examples), atol=1e-5)
    assert program.fp32_layers == ()  # it was not asked for more
    but_one_block = executorch.export(graph, (), int8("signed", examples, "1"))
    assert decibels(run(but_one_block, examples), expected(model, examples)) > 35
    assert len(but_one_block.data) < len(program.data)


@pytest.mark.parametrize(("activations", "convolution"), [("signed", True), ("signed", False), ("dynamic", False)])
def test_int8_holes_are_filled_by_the_runner(tmp_path: Path, activations: Activations, convolution: bool) -> None:
    torch.manual_seed(0)
    if convolution:
        layers = [nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    else:
        layers = [nn.Linear(6, 4, bias=False), nn.Linear(4, 8)]
    first = layers[0]
    model = nn.Sequential(*layers, nn.Linear(8, 3)).eval()
    shape = (3, 7, 6) if convolution else (6,)
    examples = torch.randn(16, *shape)
    head = f"{len(layers)}"
    holes = ("0.weight", f"{head}.weight", f"{head}.bias")
    program = executorch.export(
        export_with_holes(model, inputs_of(examples[:1]), holes), holes, int8(activations, examples)
    )
    assert program.quantised_holes == ("0.weight",)
    assert program.fp32_layers == (head,)  # its bias is a hole
    parameters = dict(model.named_parameters())
    for _ in range(2):
        first.reset_parameters()
        values = {name: parameters[name].detach().numpy() for name in holes}
        # Ranges of activations are those of the weight that it was exported with: a few dB.
        assert decibels(served(tmp_path, program, values, examples.numpy()), expected(model, examples)) > 25


def test_a_filled_hole_is_as_good_as_a_weight_that_was_built_in(tmp_path: Path) -> None:
    # Both have a step of a 127th of the channel's largest value. Where a value lies between two steps they may differ.
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten()).eval()
    examples = torch.randn(8, 3, 8, 8)
    built_in = executorch.export(export_with_holes(model, inputs_of(examples[:1]), ()), (), int8("signed", examples))
    with_hole = executorch.export(
        export_with_holes(model, inputs_of(examples[:1]), ("0.weight",)), ("0.weight",), int8("signed", examples)
    )
    values = {"0.weight": model[0].weight.detach().numpy()}
    assert decibels(served(tmp_path, with_hole, values, examples.numpy()), run(built_in, examples)) > 50


def test_a_channel_of_zeros(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4, bias=False), nn.Linear(4, 3)).eval()
    examples = torch.randn(8, 6)
    with torch.no_grad():
        model[0].weight[1] = 0
    holes = ("0.weight",)
    program = executorch.export(
        export_with_holes(model, inputs_of(examples[:1]), holes), holes, int8("signed", examples)
    )
    found = served(tmp_path, program, {"0.weight": model[0].weight.detach().numpy()}, examples.numpy())
    assert decibels(found, expected(model, examples)) > 30


@pytest.mark.parametrize(
    ("arithmetic", "said"),
    [(Arithmetic("int8", "unsigned"), "no unsigned int8 activations"), (Arithmetic("fp16"), "no fp16")],
)
def test_arithmetic_that_it_has_not(arithmetic: Arithmetic, said: str) -> None:
    model, x = build("mlp")
    with pytest.raises(BadInput, match=said):
        executorch.export(export_with_holes(model, inputs_of(x[:1]), ()), (), Quantisation(arithmetic, inputs_of(x)))


def test_fp32_is_fp32() -> None:
    model, x = build("mlp")
    graph = export_with_holes(model, inputs_of(x[:1]), ())
    assert executorch.export(graph, (), Quantisation(FP32, inputs_of(x))).data == executorch.export(graph, ()).data


def test_outlying_examples_cost_accuracy_alone() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3)).eval()
    x = torch.randn(4, 3, 8, 8)
    outlying = torch.cat([x, torch.full((1, 3, 8, 8), 1e6), torch.full((1, 3, 8, 8), -1e6)])
    program = executorch.export(export_with_holes(model, inputs_of(x[:1]), ()), (), int8("signed", outlying))
    assert np.isfinite(run(program, x)).all()


def test_layers_that_it_does_not_run_in_int8_stay_in_fp32() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(2, 4, 3), nn.Flatten(2), nn.Conv1d(4, 8, 3), nn.Flatten(), nn.Linear(48, 3)).eval()
    examples = torch.randn(8, 2, 4, 4, 4)
    graph = export_with_holes(model, inputs_of(examples[:1]), ())
    # XNNPACK has no kernel for the first; convolutions gain nothing from dynamic ranges.
    assert executorch.export(graph, (), int8("signed", examples)).fp32_layers == ("0",)
    assert executorch.export(graph, (), int8("dynamic", examples)).fp32_layers == ("0", "2")


def test_operators_that_it_has_no_int8_for_are_listed_by_kind() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.Softmax(1), nn.Linear(8, 2)).eval()
    examples = torch.randn(8, 8)
    program = executorch.export(export_with_holes(model, inputs_of(examples[:1]), ()), (), int8("signed", examples))
    assert (program.fp32_layers, program.fp32_operators) == ((), ("layer_norm", "softmax"))


class _Shared(nn.Module):
    """One layer in two places, and one convolution before two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.second.register_buffer("running_var", torch.full((3,), 4.0))
        self.down = nn.Conv2d(3, 3, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(self.layer(self.first(self.layer(x)).relu()))
        return self.down(self.down(x).relu()).flatten(1)


def test_one_layer_in_two_places(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, examples = _Shared().eval(), torch.randn(8, 3, 6, 6)
    program = executorch.export(
        export_with_holes(model, inputs_of(examples[:1]), ("down.weight",)), ("down.weight",), int8("signed", examples)
    )
    assert (program.fp32_layers, program.quantised_holes) == ((), ("down.weight",))
    found = served(tmp_path, program, {"down.weight": model.down.weight.detach().numpy()}, examples.numpy())
    assert decibels(found, expected(model, examples)) > 30


class _Compact(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 2, 3, bias=False), nn.Conv2d(2, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.up(self.down(x))
        return y


def test_layers_and_conversions_alone_are_timed_on_what_they_get_between_others(tmp_path: Path) -> None:
    torch.manual_seed(0)
    signed, dynamic = Arithmetic("int8", "signed"), Arithmetic("int8", "dynamic")
    layers, inputs = [_Compact(), nn.Linear(6, 4)], [torch.randn(1, 3, 8, 8), torch.randn(2, 6)]
    programs = executorch.export_layers(layers, inputs, [signed, dynamic])
    programs += [executorch.export_conversion((1, 3, 8, 8), *ends) for ends in ((FP32, signed), (signed, dynamic))]
    assert [each.input_type for each in programs] == ["int8", "float32", "float32", "int8"]
    assert [each.quantised_holes for each in programs] == [("down.weight",), (), (), ()]
    assert all(each.nodes.fallback == 0 for each in programs)
    entries = []
    for index, (program, shape) in enumerate(
        zip(programs, ((1, 3, 8, 8), (2, 6), (1, 3, 8, 8), (1, 3, 8, 8)), strict=True)
    ):
        (tmp_path / f"{index}.pte").write_bytes(program.data)
        holes = {name: [2, 3, 3, 3] for name in program.holes}
        described = {"inputs": [shape], "input_type": program.input_type, "holes": holes}
        entries.append({"id": str(index), "path": str(tmp_path / f"{index}.pte"), **described})
    said = run_verb(tmp_path, "bench", {"runtime": "executorch", "threads": 1, **timing(), "programs": entries})
    assert (said.status, len(said.of("measured"))) == (0, 4), said
    wrong = [{**entries[0], "input_type": "float32"}]
    said = run_verb(tmp_path, "bench", {"runtime": "executorch", "threads": 1, **timing(), "programs": wrong})
    assert "input 0 is int8" in str(said)
    with pytest.raises(ValueError, match="nothing is converted"):
        executorch.export_conversion((1, 3), FP32, dynamic)
