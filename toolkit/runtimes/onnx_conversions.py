"""Conversions between arithmetics in ONNX graphs: cut from the ends of a layer, or alone."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolkit.runtimes.arithmetic import Arithmetic, number_type

_IR_VERSION, _OPSET = 10, 20


def conversion(shape: Sequence[int], before: Arithmetic, after: Arithmetic) -> onnx.ModelProto:
    """A graph of what turns a tensor of this shape from one arithmetic into another.

    Raises ValueError if nothing does: what stands between the layers is the same.
    """
    given, made = number_type(before), number_type(after)
    if given == made:
        raise ValueError(f"nothing is converted between {before} and {after}")
    nodes, constants = [], []
    at = "x"
    if given in ("int8", "uint8"):
        nodes.append(helper.make_node("DequantizeLinear", [at, "step_x", "zero_x"], ["real"]))
        constants += _step("x", given)
        at = "real"
    elif given == "float16":
        nodes.append(helper.make_node("Cast", [at], ["real"], to=TensorProto.FLOAT))
        at = "real"
    if made in ("int8", "uint8"):
        nodes.append(helper.make_node("QuantizeLinear", [at, "step_y", "zero_y"], ["y"]))
        constants += _step("y", made)
    elif made == "float16":
        nodes.append(helper.make_node("Cast", [at], ["y"], to=TensorProto.FLOAT16))
    else:
        nodes[-1].output[0] = "y"
    graph = helper.make_graph(
        nodes,
        "conversion",
        [helper.make_tensor_value_info("x", _kind(given), shape)],
        [helper.make_tensor_value_info("y", _kind(made), shape)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


def cut_conversions(model: onnx.ModelProto) -> bool:
    """Let an int8 graph take and give int8 instead of converting its only input and its only output.

    False, and as it was, if it does not convert both.
    """
    first = [node for node in model.graph.node if model.graph.input[0].name in node.input]
    last = [node for node in model.graph.node if model.graph.output[0].name in node.output]
    if [node.op_type for node in (*first, *last)] != ["QuantizeLinear", "DequantizeLinear"]:
        return False
    zeros = {each.name: each.data_type for each in model.graph.initializer}
    for end, name, node in (
        (model.graph.input[0], first[0].output[0], first[0]),
        (model.graph.output[0], last[0].input[0], last[0]),
    ):
        end.name = name
        end.type.tensor_type.elem_type = zeros[node.input[2]]
        model.graph.node.remove(node)
    return True


def _step(name: str, kind: str) -> list[TensorProto]:
    zero = np.array(0 if kind == "int8" else 128, kind)
    return [
        numpy_helper.from_array(np.array(1 / 32, np.float32), f"step_{name}"),
        numpy_helper.from_array(zero, f"zero_{name}"),
    ]


def _kind(name: str) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(name)))
