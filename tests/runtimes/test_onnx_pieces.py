"""Layers alone in an arithmetic, conversions alone, and fp16, in ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import build, compacted, loaded
from torch import nn

from edge_runtime.quantise import quantise
from toolkit.compression import CompactConv2d, CompactLinear
from toolkit.devices.agent.bench import bench
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.runtimes import export_with_holes, onnxruntime
from toolkit.runtimes.arithmetic import FP32, Arithmetic, Quantisation

_SIGNED, _UNSIGNED, _DYNAMIC = (Arithmetic("int8", each) for each in ("signed", "unsigned", "dynamic"))
_FP16 = Arithmetic("fp16")


def _layers() -> tuple[list[nn.Module], list[torch.Tensor]]:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 6, 3, stride=2, padding=1)
    layers = [conv, CompactConv2d(conv, 2).fold(), nn.Linear(6, 5), CompactLinear(6, 5, 2).fold()]
    return layers, [torch.randn(1, 3, 8, 8), torch.randn(1, 3, 8, 8), torch.randn(1, 6), torch.randn(1, 7, 6)]


@pytest.mark.parametrize("arithmetic", [_SIGNED, _UNSIGNED])
def test_a_static_int8_layer_alone_takes_and_gives_int8(arithmetic: Arithmetic, tmp_path: Path) -> None:
    layers, inputs = _layers()
    programs = onnxruntime.export_layers(layers, inputs, [arithmetic] * len(layers))
    for layer, x, program in zip(layers, inputs, programs, strict=True):
        made = onnx.load_from_string(program.data)
        assert program.fp32_layers == ()
        assert program.quantised_holes == program.holes
        assert program.input_type == {"signed": "int8", "unsigned": "uint8"}[str(arithmetic.activations)]
        types = {each.type.tensor_type.elem_type for each in (*made.graph.input, *made.graph.output)}
        assert types == {int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(program.input_type)))}
        values = {
            each.name: onnx.numpy_helper.to_array(each) for each in made.graph.initializer if not each.external_data
        }
        [taken] = [node for node in made.graph.node if made.graph.input[0].name in node.input]
        [given] = [node for node in made.graph.node if made.graph.output[0].name in node.output]
        assert (taken.op_type, given.op_type) == ("DequantizeLinear", "QuantizeLinear")
        scale, zero = (values[each] for each in taken.input[1:])
        steps = np.clip(np.rint(x.numpy() / scale) + zero, *_limits(program.input_type)).astype(program.input_type)
        filled = {k: v for h in program.holes for k, v in quantise(h, layer.get_parameter(h).detach().numpy()).items()}
        held = type(program)(program.data, program.nodes, tuple(filled))
        out = loaded(onnxruntime, held, tmp_path, filled)([steps])[0]
        scale, zero = (values[each] for each in given.input[1:])
        with torch.no_grad():
            expected = layer(x).numpy()
        difference = np.linalg.norm((out.astype(np.float32) - zero) * scale - expected) / np.linalg.norm(expected)
        assert difference < 0.03  # 255 steps, three times; as in test_onnx_int8


def _limits(kind: str) -> tuple[int, int]:
    return int(np.iinfo(kind).min), int(np.iinfo(kind).max)


def test_layers_in_other_arithmetic_take_what_stands_between_them() -> None:
    layers, inputs = _layers()
    made = onnxruntime.export_layers(layers, inputs, [FP32, _FP16, _DYNAMIC, _SIGNED])
    assert [program.input_type for program in made] == ["float32", "float16", "float32", "int8"]
    assert [program.quantised_holes for program in made] == [(), (), (), ("down.weight",)]
    assert made[1].holes == ("down.weight",)
    plain = onnxruntime.export_layers(layers, inputs)
    assert plain[0].data == made[0].data


def test_a_layer_without_an_int8_kernel_comes_in_fp32_and_says_so() -> None:
    [program] = onnxruntime.export_layers([nn.ConvTranspose2d(3, 4, 2)], [torch.randn(1, 3, 8, 8)], [_SIGNED])
    assert (program.fp32_layers, program.input_type) == (("",), "float32")


@pytest.mark.parametrize(
    ("before", "after"),
    [(FP32, _SIGNED), (_UNSIGNED, FP32), (FP32, _FP16), (_FP16, FP32), (_FP16, _SIGNED), (_UNSIGNED, _FP16)],
)
def test_a_conversion_alone_gives_back_what_it_took(before: Arithmetic, after: Arithmetic, tmp_path: Path) -> None:
    there = onnxruntime.export_conversion((1, 4, 5, 5), before, after)
    back = onnxruntime.export_conversion((1, 4, 5, 5), after, before)
    x = np.linspace(0, 3.9, 100).reshape(1, 4, 5, 5)
    x = (x * 32).astype(there.input_type) if there.input_type.endswith("int8") else x.astype(there.input_type)
    between = loaded(onnxruntime, there, tmp_path)([x])[0]
    assert str(between.dtype) == back.input_type
    again = loaded(onnxruntime, back, tmp_path)([between])[0]
    assert again.dtype == x.dtype
    np.testing.assert_allclose(again.astype(np.float64), x, atol=0.5 if x.dtype.kind in "iu" else 1 / 64)


def test_between_equal_numbers_there_is_no_conversion() -> None:
    with pytest.raises(ValueError, match="nothing is converted between fp32 and int8 dynamic"):
        onnxruntime.export_conversion((1, 4), FP32, _DYNAMIC)


def test_the_agent_times_them_all(tmp_path: Path) -> None:
    layers, inputs = _layers()
    arithmetics = [_SIGNED, _UNSIGNED, _FP16, _DYNAMIC]
    programs = onnxruntime.export_layers(layers, inputs, arithmetics)
    programs.append(onnxruntime.export_conversion((1, 6), _SIGNED, FP32))
    entries = []
    for index, (layer, program) in enumerate(zip([*layers, layers[2]], programs, strict=True)):
        path = tmp_path / f"{index}.onnx"
        path.write_bytes(program.data)
        entries.append(
            {
                "id": str(index),
                "path": str(path),
                "inputs": [list([*inputs, inputs[2]][index].shape)],
                "input_type": program.input_type,
                "holes": {name: list(layer.get_parameter(name).shape) for name in program.holes},
                "quantised_holes": list(program.quantised_holes),
            }
        )
    spec = {"runtime": "onnxruntime", "threads": 1, "warmups": 1, "runs": 2, "budget_ms": 1, "programs": entries}
    done = bench(spec, lambda *_, **__: None)
    assert "conditions" in done


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_fp16_keeps_its_ends_and_its_holes_in_float32(name: str, tmp_path: Path) -> None:
    model, x = build(name)
    network = split_head(model, inputs_of(x[:1]))
    assert network.head is not None
    backbone = compacted(network.backbone, network.head, x)
    whole = nn.Sequential(backbone, network.head).eval()
    holes = ("1.weight", "1.bias")
    quantisation = Quantisation(_FP16, inputs_of(x), fp32_layers=frozenset({"1"}))
    program = onnxruntime.export(export_with_holes(whole, inputs_of(x[:1]), holes), holes, quantisation)
    values = {each: whole.get_parameter(each).detach().numpy() for each in holes}
    given = loaded(onnxruntime, program, tmp_path, values)([x[:1].numpy()])[0]
    with torch.no_grad():
        expected = whole(x[:1]).numpy()
    assert given.dtype == np.float32
    # 11 bits a number, once a layer: see `toolkit.runtimes.tolerance`
    np.testing.assert_allclose(given, expected, atol=1e-2 * float(np.abs(expected).max()))
    made = onnx.load_from_string(program.data)
    assert onnx.TensorProto.FLOAT16 in {each.data_type for each in made.graph.initializer}
    # The head reads its holes, and gives the output, as they are.
    [last] = [node for node in made.graph.node if made.graph.output[0].name in node.output]
    assert (last.op_type, list(last.input[1:])) == ("Gemm", list(holes))


def test_two_layers_that_stay_fp32_may_read_one_tensor_of_fp16(tmp_path: Path) -> None:
    """As queries, keys and values do. ONNX Runtime's converter gave both one name for its cast."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.left, self.right = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x).relu()
            return self.left(x).sigmoid() * self.right(x)

    torch.manual_seed(0)
    model, x = Two().eval(), inputs_of(torch.randn(1, 6))
    quantisation = Quantisation(_FP16, x, fp32_layers=frozenset({"left", "right"}))
    program = onnxruntime.export(export_with_holes(model, x, ()), (), quantisation)
    given = loaded(onnxruntime, program, tmp_path)([each.numpy() for each in x])[0]
    with torch.no_grad():
        expected = model(*x).numpy()
    np.testing.assert_allclose(given, expected, atol=1e-2 * float(np.abs(expected).max()))
