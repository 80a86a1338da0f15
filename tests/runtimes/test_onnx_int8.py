"""int8 ONNX programs: computed by int8 kernels, close to fp32, with holes that the board fills by itself."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn
from torch.export import ExportedProgram

from edge_runtime.program import Program as Loaded
from edge_runtime.program import load
from edge_runtime.quantise import quantise
from edge_runtime.saturation import saturates
from toolkit.compression import CompactConv2d, CompactLinear
from toolkit.devices.agent.conditions import text
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.runtimes import Program, export_with_holes, onnxruntime
from toolkit.runtimes.arithmetic import Activations, Arithmetic, Quantisation, Ranges

_HOLES = ("second.down.weight", "wide.down.weight", "places.down.weight", "head.weight", "head.bias")
# Rounding to 255 steps of the range is an error of 1/255/sqrt(12) of it, some 0.3 % of values that fill a quarter of
# the range; seven layers one after another add up to 1 %, and twice that is granted.
_NEAR = 0.02


class Block(nn.Module):
    """A convolution with its normalisation, one cut in two, their sum, compact linear layers of both kinds, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.second = CompactConv2d(nn.Conv2d(16, 16, 3, padding=1, bias=False), 8).fold()
        self.second_norm = nn.BatchNorm2d(16)
        self.wide = CompactLinear(16, 24, 8).fold()
        self.places = CompactLinear(16, 24, 8).fold()
        self.head = nn.Linear(24, 5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.relu(self.first_norm(self.first(x)))
        x = torch.relu(self.second_norm(self.second(x)) + x)
        features = torch.relu(self.wide(x.mean((2, 3)))) + self.places(x.permute(0, 2, 3, 1)).mean((1, 2))
        return self.head(features), features


@pytest.fixture(scope="module")
def block() -> tuple[Block, torch.Tensor]:
    torch.manual_seed(0)
    model, x = Block(), torch.randn(40, 3, 8, 8)
    for _ in range(20):  # statistics of the normalisations
        model(x)
    return model.eval(), x


def _int8(activations: Activations, x: torch.Tensor, ranges: Ranges = "minmax", *fp32: str) -> Quantisation:
    return Quantisation(Arithmetic("int8", activations), inputs_of(x), ranges, frozenset(fp32))


@lru_cache
def _graph(model: nn.Module, shape: torch.Size, holes: tuple[str, ...]) -> ExportedProgram:
    return export_with_holes(model, inputs_of(torch.zeros(1, *shape)), holes)


def _export(model: nn.Module, x: torch.Tensor, holes: tuple[str, ...], quantisation: Quantisation) -> Program:
    return onnxruntime.export(_graph(model, x.shape[1:], holes), holes, quantisation)


def _filled(model: nn.Module, program: Program) -> dict[str, np.ndarray]:
    """As the agent fills holes."""
    values = {name: value.detach().numpy() for name, value in model.named_parameters()}
    filled: dict[str, np.ndarray] = {}
    for name in program.holes:
        filled |= quantise(name, values[name]) if name in program.quantised_holes else {name: values[name]}
    return filled


def _session(model: nn.Module, program: Program, folder: Path) -> tuple[Loaded, list[str]]:
    """The program as the agent loads it, and the operators that it runs with kernels that may saturate.

    int8 activations that are signed run in int8 on Arm alone unless asked for.
    """
    options = ort.SessionOptions()
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    filled = _filled(model, program)
    values = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(each)) for each in filled.values()]
    options.add_external_initializers(list(filled), values)
    ort.InferenceSession(program.data, options, providers=["CPUExecutionProvider"])
    (folder / "program.onnx").write_bytes(program.data)
    run = load("onnxruntime", str(folder / "program.onnx"), filled, 1)
    optimised = onnx.load(folder / "optimised.onnx", load_external_data=False)
    return run, [node.op_type for node in optimised.graph.node]


def _run(run: Loaded, x: torch.Tensor) -> list[np.ndarray]:
    outputs = [run([one.numpy()]) for one in x.split(1)]
    return [np.concatenate(each) for each in zip(*outputs, strict=True)]


def _error(given: Sequence[np.ndarray], model: nn.Module, x: torch.Tensor) -> float:
    with torch.no_grad():
        expected = [each.numpy() for each in model(x)]
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(given, expected, strict=True))


@pytest.mark.parametrize("ranges", ["minmax", "percentile", "entropy"])
@pytest.mark.parametrize("activations", ["signed", "unsigned"])
def test_a_block_runs_in_int8_from_end_to_end(
    block: tuple[Block, torch.Tensor], activations: Activations, ranges: Ranges, tmp_path: Path
) -> None:
    model, x = block
    program = _export(model, x, _HOLES, _int8(activations, x, ranges, "head"))
    assert program.fp32_layers == ()
    assert program.quantised_holes == _HOLES[:3]
    session, operators = _session(model, program, tmp_path)
    # Convolutions with their normalisations and activations, and their sum, one after another: nothing in between.
    assert operators[:6] == ["QuantizeLinear", *["QLinearConv"] * 3, "QLinearAdd", "DequantizeLinear"]
    # The pooled values are a mean, which has no int8 kernel; the head stays as it is, and is the last.
    assert sorted(each for each in operators[6:] if "uantize" not in each) == [
        *["Gemm", "QGemm", "QGemm"],
        *["QLinearAdd", "QLinearAdd", "QLinearMatMul", "QLinearMatMul"],
        *["ReduceMean", "ReduceMean", "Transpose"],
    ]
    assert _error(_run(session, x), model, x) < _NEAR


def test_dynamic_int8_runs_what_multiplies_matrices(block: tuple[Block, torch.Tensor], tmp_path: Path) -> None:
    model, x = block
    program = _export(model, x, _HOLES, _int8("dynamic", x, "minmax", "head"))
    # ONNX Runtime has no kernel for a convolution in dynamic int8 that gains anything: they are listed.
    assert program.fp32_layers == ("first", "second.down", "second.up")
    assert program.quantised_holes == _HOLES[1:3]
    session, operators = _session(model, program, tmp_path)
    assert operators.count("DynamicQuantizeMatMul") == 4
    assert _error(_run(session, x), model, x) < _NEAR


@pytest.mark.parametrize("activations", ["signed", "unsigned", "dynamic"])
def test_holes_of_an_int8_program_take_what_the_board_quantises(
    block: tuple[Block, torch.Tensor], activations: Activations, tmp_path: Path
) -> None:
    """Filled with other weights, it computes to the bit what a program computes that was exported with those."""
    model, x = block
    program = _export(model, x, _HOLES, _int8(activations, x, "minmax", "head"))
    torch.manual_seed(1)
    other = Block().eval()
    other.load_state_dict({**other.state_dict(), **{k: v for k, v in model.state_dict().items() if k not in _HOLES}})
    inside = onnx.load_from_string(program.data).graph.initializer
    outside = {each.name for each in inside if each.data_location == onnx.TensorProto.EXTERNAL}
    assert outside == set(_filled(model, program))
    again = _export(other, x, _HOLES, _int8(activations, x, "minmax", "head"))
    if activations == "dynamic":  # else its ranges follow from the weights
        assert again.data == program.data
    given = _run(_session(other, program, tmp_path)[0], x)
    before = _run(_session(model, program, tmp_path)[0], x)
    assert not np.allclose(given[1], before[1], rtol=0.1)
    if activations == "dynamic":
        assert _error(given, other, x) < _NEAR


def test_what_fills_a_hole_is_what_the_quantiser_would_have_built_in(block: tuple[Block, torch.Tensor]) -> None:
    """Its int8 values and steps, to the bit, of a convolution: with the hole, and without."""
    model, x = block
    built_in = onnx.load_from_string(_export(model, x, (), _int8("unsigned", x)).data)
    inside = {each.name: onnx.numpy_helper.to_array(each) for each in built_in.graph.initializer}
    filled = quantise("hole", model.get_parameter("second.down.weight").detach().numpy())
    np.testing.assert_array_equal(filled["hole.quantised"], inside["model.second.down.weight_quantized"])
    np.testing.assert_array_equal(filled["hole.scale"], inside["model.second.down.weight_scale"])


@pytest.mark.parametrize("activations", ["signed", "unsigned"])
def test_named_layers_stay_fp32(block: tuple[Block, torch.Tensor], activations: Activations, tmp_path: Path) -> None:
    model, x = block
    program = _export(model, x, _HOLES, _int8(activations, x, "minmax", "head", "second", "places.up"))
    assert program.fp32_layers == ()
    assert program.quantised_holes == ("wide.down.weight", "places.down.weight")
    session, operators = _session(model, program, tmp_path)
    assert operators.count("QLinearConv") == 1
    assert operators.count("Conv") == 2
    assert (operators.count("QLinearMatMul"), operators.count("QGemm")) == (1, 2)
    assert _error(_run(session, x), model, x) < _NEAR


def test_with_every_layer_in_fp32_nothing_converts(block: tuple[Block, torch.Tensor]) -> None:
    model, x = block
    names = tuple(name for name, _ in model.named_children())
    program = _export(model, x, _HOLES, _int8("signed", x, "minmax", *names))
    assert program.data == onnxruntime.export(_graph(model, x.shape[1:], _HOLES), _HOLES).data


@pytest.mark.parametrize("wild", [1, 2])
def test_percentiles_and_entropy_survive_wild_examples(
    block: tuple[Block, torch.Tensor], wild: int, tmp_path: Path
) -> None:
    model, x = block
    spoilt = x.clone()
    spoilt[:wild] *= 1e6
    errors = {}
    choices: tuple[Ranges, ...] = ("minmax", "percentile", "entropy")
    for ranges in choices:
        program = _export(model, x, _HOLES, _int8("unsigned", spoilt, ranges, "head"))
        errors[ranges] = _error(_run(_session(model, program, tmp_path)[0], x), model, x)
    assert errors["minmax"] > 0.1
    assert max(errors["percentile"], errors["entropy"]) < 2 * _NEAR


@pytest.mark.parametrize("ranges", ["minmax", "percentile", "entropy"])
@pytest.mark.parametrize("examples", [torch.zeros(4, 3, 8, 8), torch.full((4, 3, 8, 8), 3.0), torch.randn(1, 3, 8, 8)])
def test_constant_examples_and_a_single_one_are_taken(
    block: tuple[Block, torch.Tensor], examples: torch.Tensor, ranges: Ranges, tmp_path: Path
) -> None:
    model, _ = block
    program = _export(model, examples, _HOLES, _int8("signed", examples, ranges, "head"))
    given = _run(_session(model, program, tmp_path)[0], examples)
    assert all(np.isfinite(each).all() for each in given)
    if ranges == "minmax":
        assert _error(given, model, examples) < _NEAR


@pytest.mark.parametrize("activations", ["signed", "dynamic"])
@pytest.mark.parametrize(
    ("examples", "what"),
    [
        (torch.zeros(0, 3, 8, 8), "holds no example"),
        (torch.tensor([0.0, float("nan")])[:, None, None, None].expand(2, 3, 8, 8), "1 of 2 examples hold NaN"),
        (torch.full((3, 3, 8, 8), float("inf")), "3 of 3 examples hold NaN or infinite"),
    ],
)
def test_examples_that_cannot_be_used_are_refused(
    block: tuple[Block, torch.Tensor], examples: torch.Tensor, what: str, activations: Activations
) -> None:
    model, x = block
    with pytest.raises(BadInput, match=what):
        _export(model, x, _HOLES, _int8(activations, examples))


class _Others(nn.Module):
    """Layers that have no int8 kernel, after one that has."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.grown = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.memory = nn.LSTM(12, 6, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.grown(torch.relu(self.conv(x))))
        return self.memory(x[:, 0])[0]


@pytest.mark.parametrize("activations", ["signed", "unsigned", "dynamic"])
def test_layers_that_cannot_run_in_int8_are_listed(activations: Activations, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = _Others().eval(), torch.randn(8, 3, 8, 8)
    program = _export(model, x, (), _int8(activations, x))
    cannot = ("grown", "memory")
    assert program.fp32_layers == (("conv", *cannot) if activations == "dynamic" else cannot)
    assert program.fp32_operators == ()
    session, _ = _session(model, program, tmp_path)
    with torch.no_grad():
        expected = model(x).numpy()
    given = _run(session, x)[0]
    assert np.linalg.norm(given - expected) < _NEAR * np.linalg.norm(expected)


@pytest.mark.skipif(
    saturates(text("/proc/cpuinfo")), reason="ONNX Runtime cannot rewrite shared weights for a processor without VNNI"
)
@pytest.mark.parametrize("activations", ["signed", "unsigned", "dynamic"])
def test_layers_that_share_a_weight_share_it_in_int8(activations: Activations, tmp_path: Path) -> None:
    torch.manual_seed(0)
    shared = CompactLinear(8, 8, 4).fold()
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(8, 8), nn.ReLU()).eval()
    model.append(model[3])
    x = torch.randn(16, 8)
    holes = ("0.down.weight",)
    program = _export(model, x, holes, _int8(activations, x))
    assert program.quantised_holes == holes
    with torch.no_grad():
        expected = model(x).numpy()
    given = _run(_session(model, program, tmp_path)[0], x)[0]
    assert np.linalg.norm(given - expected) < 2 * _NEAR * np.linalg.norm(expected)


def test_an_int8_program_does_not_tell_where_it_was_made(block: tuple[Block, torch.Tensor]) -> None:
    model, x = block
    kinds: tuple[Activations, ...] = ("signed", "dynamic")
    for activations in kinds:
        data = _export(model, x, _HOLES, _int8(activations, x, "minmax", "head")).data
        for trace in (b"site-packages", b"/root", b"/home", b"/tmp", b".py", str(Path.cwd()).encode()):
            assert trace not in data
        made = onnx.load_from_string(data)
        assert made.ir_version <= 10  # what ONNX Runtime 1.19 reads
        assert [each.version <= 21 for each in made.opset_import if each.domain == ""] == [True]


def test_operators_without_an_int8_kernel_are_listed_by_kind() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.Softmax(1), nn.ReLU(), nn.Linear(8, 2))
    x = torch.randn(16, 8)
    program = _export(model.eval(), x, (), _int8("unsigned", x))
    assert (program.fp32_layers, program.fp32_operators) == ((), ("LayerNormalization", "Softmax"))
    assert _export(model, x, (), _int8("unsigned", x, "minmax", "1", "3")).fp32_operators == ()  # not asked for
    assert _export(model, x, (), _int8("dynamic", x)).fp32_operators == ()  # those are fp32 there in any case


@pytest.mark.parametrize("activations", ["signed", "unsigned"])
def test_the_agent_leaves_weights_of_fp32_layers_between_int8_ones_as_they_are(
    activations: Activations, tmp_path: Path
) -> None:
    """ONNX Runtime would round them, too, with one step for all: here a thousandth of the weights would be left."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 1),
        nn.Flatten(),
        nn.Linear(128, 3),
    ).eval()
    x = torch.rand(20, 3, 8, 8)
    model[2].weight.data[0] *= 1e3  # type: ignore[union-attr, operator]
    model[4].weight.data[:, 0] *= 1e-3  # type: ignore[union-attr, operator]
    program = _export(model, x, (), _int8(activations, x, "minmax", "2"))
    file = tmp_path / "model.onnx"
    file.write_bytes(program.data)
    whole = ort.SessionOptions()
    whole.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(program.data, whole, providers=["CPUExecutionProvider"])
    run, name = load("onnxruntime", str(file), {}, 1), session.get_inputs()[0].name
    for one in x.numpy()[:, None]:
        np.testing.assert_allclose(run([one])[0], session.run(None, {name: one})[0], rtol=0.02, atol=0.02)
