"""Turn a float32 ONNX graph into int8 by ONNX Runtime's quantiser: static, with ranges of activations, or dynamic.

Weights are symmetric, with a step for each output channel. Holes that a layer multiplies by become int8 holes.
"""

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_dynamic
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from toolkit.quiet import quiet
from toolkit.runtimes.arithmetic import Quantisation
from toolkit.runtimes.examples import drawn
from toolkit.runtimes.onnx_holes import fill_for_quantiser, supply_quantised_at_load, turn_weight
from toolkit.runtimes.onnx_layers import Origin, origins
from toolkit.runtimes.onnx_ranges import read_ranges

# What has an int8 kernel on processors. Softmax and normalisations are left out: they lose much and gain nothing.
_STATIC = ("Conv", "Gemm", "MatMul")
_DYNAMIC = ("Gemm", "MatMul")
_BETWEEN = (
    *("Add", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat"),
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Resize", "Pad", "Split"),
)
# What moves or names values: it has no precision.
_MOVING = ("Cast", "Constant", "Expand", "Gather", "Identity", "Shape", "Slice")


@dataclass(frozen=True)
class Int8:
    """The graph, its holes that take int8, and what is not int8 although that was asked for: layers and operators."""

    model: onnx.ModelProto
    quantised_holes: tuple[str, ...]
    fp32_layers: tuple[str, ...]
    fp32_operators: tuple[str, ...]


def to_int8(model: onnx.ModelProto, root: str, holes: Mapping[str, np.ndarray], quantisation: Quantisation) -> Int8:
    """`holes` are inputs of the graph, with values; `root` is the module that `fp32_layers` are named from.

    Raises BadInput if the examples cannot be used.
    """
    drawn(quantisation.examples)
    dynamic = quantisation.arithmetic.activations == "dynamic"
    model = onnx.shape_inference.infer_shapes(model)
    known = origins(model, root, holes)
    asked = [
        node
        for node in model.graph.node
        if known[node.name].weight is not None and not known[node.name].within(quantisation.fp32_layers)
    ]
    operators = _without_int8(model, known, quantisation.fp32_layers)
    able = [node for node in asked if _can_run(node, known[node.name], holes, dynamic)]
    weights = {known[node.name].weight for node in able}
    inner = [name for name in holes if name in weights]
    constants = fill_for_quantiser(model, {name: holes[name] for name in inner})
    chosen = [node.name for node in able]
    if chosen:
        others = {name: value for name, value in holes.items() if name not in inner}
        model = _dynamic(model, chosen) if dynamic else _static(model, chosen, known, others, quantisation)
    supply_quantised_at_load(model, constants)
    left = [known[node.name].modules[:1] for node in asked if node.name not in chosen]
    layers = tuple(dict.fromkeys(each for names in left for each in names))
    return Int8(model, tuple(inner), layers, () if dynamic else operators)


def _without_int8(model: onnx.ModelProto, known: Mapping[str, Origin], fp32: Collection[str]) -> tuple[str, ...]:
    """Kinds of operators without weights that compute on floats, and that no int8 kernel is used for."""
    floats = _floats(model)
    rest = [node for node in model.graph.node if known[node.name].weight is None and floats.intersection(node.output)]
    able = {*_STATIC, *_BETWEEN, *_MOVING}
    return tuple(
        dict.fromkeys(node.op_type for node in rest if node.op_type not in able and not known[node.name].within(fp32))
    )


def _can_run(node: onnx.NodeProto, origin: Origin, holes: Collection[str], dynamic: bool) -> bool:
    """A layer whose weight is a hole must have no bias: its step would depend on that of the weight."""
    if node.op_type not in (_DYNAMIC if dynamic else _STATIC):
        return False
    return origin.weight not in holes or len(node.input) == 2


def _static(
    model: onnx.ModelProto,
    layers: Collection[str],
    known: Mapping[str, Origin],
    holes: Mapping[str, np.ndarray],
    quantisation: Quantisation,
) -> onnx.ModelProto:
    chosen = _with_what_follows(model, layers, known, quantisation.fp32_layers)
    tensors = _activations(model, chosen)
    found = read_ranges(model, tensors, holes, quantisation.examples, quantisation.ranges)
    signed = quantisation.arithmetic.activations == "signed"
    quantiser = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if signed else QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, dict(found)),
        nodes_to_quantize=sorted(chosen),
        nodes_to_exclude=[],
        op_types_to_quantize=[*_STATIC, *_BETWEEN],
        extra_options={},
    )
    with quiet():
        quantiser.quantize_model()
    made: onnx.ModelProto = quantiser.model.model
    return made


def _with_what_follows(
    model: onnx.ModelProto, layers: Collection[str], known: Mapping[str, Origin], fp32: Collection[str]
) -> set[str]:
    """Names of the layers and of what computes on their outputs in int8, too: sums, activations, pooling."""
    chosen = set(layers)
    int8: set[str] = set()
    for node in model.graph.node:
        follows = node.op_type in (*_BETWEEN, "MatMul") and known[node.name].weight is None
        if follows and int8.intersection(node.input) and not known[node.name].within(fp32):
            chosen.add(node.name)
        if node.name in chosen:
            int8.update(node.output)
    return chosen


def _activations(model: onnx.ModelProto, chosen: Collection[str]) -> list[str]:
    """The float tensors that those nodes read and write, but for constants."""
    floats = _floats(model) - {each.name for each in model.graph.initializer}
    names = [name for node in model.graph.node if node.name in chosen for name in (*node.input, *node.output)]
    return [name for name in dict.fromkeys(names) if name in floats]


def _floats(model: onnx.ModelProto) -> set[str]:
    typed = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    return {each.name for each in typed if each.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}


def _dynamic(model: onnx.ModelProto, layers: Collection[str]) -> onnx.ModelProto:
    for weight in [each for each in model.graph.initializer if len(each.dims) == 2]:
        # The quantiser turns the weight of a Gemm where it stands: once for each layer that shares it.
        if turn_weight(model, weight.name):
            turned = numpy_helper.to_array(weight).T.copy()
            model.graph.initializer.append(numpy_helper.from_array(turned, f"{weight.name}.turned"))
            model.graph.initializer.remove(weight)
    add_pre_process_metadata(model)  # or it would warn
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder, "int8.onnx")
        # A Gemm becomes a MatMul of this name first.
        names = [name for each in layers for name in (each, f"{each}_MatMul")]
        quantize_dynamic(model, path, per_channel=True, weight_type=QuantType.QInt8, nodes_to_quantize=names)
        return onnx.load(path)
