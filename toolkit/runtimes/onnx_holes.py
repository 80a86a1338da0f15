"""Holes of an ONNX graph: inputs that become external initializers, whose bytes the board supplies at load."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_runtime.plain import HOLES, aligned


def name_holes(model: onnx.ModelProto, holes: Mapping[str, str]) -> None:
    """Rename what nodes read, and graph inputs: names are keys, the holes that they are values."""
    for node in model.graph.node:
        for position, feed in enumerate(node.input):
            node.input[position] = holes.get(feed, feed)
    for each in model.graph.input:
        each.name = holes.get(each.name, each.name)


def supply_at_load(model: onnx.ModelProto, holes: Sequence[str]) -> None:
    """Turn the inputs of these names into external initializers."""
    for feed in [each for each in model.graph.input if each.name in holes]:
        shape = [dimension.dim_value for dimension in feed.type.tensor_type.shape.dim]
        model.graph.initializer.append(_external(feed.name, TensorProto.FLOAT, shape))
        model.graph.input.remove(feed)


def fill_for_quantiser(model: onnx.ModelProto, values: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Give the quantiser constants to quantise in place of these holes: weights of Conv, Gemm or MatMul nodes.

    Returns hole by constant. A constant has output channels last where a node multiplies from the right.
    """
    constants = {}
    for hole, value in values.items():
        turned = turn_weight(model, hole)
        constant = f"{hole}.turned" if turned else hole
        model.graph.initializer.append(numpy_helper.from_array(value.T.copy() if turned else value, constant))
        model.graph.input.remove(next(each for each in model.graph.input if each.name == hole))
        constants[constant] = hole
    return constants


def turn_weight(model: onnx.ModelProto, weight: str) -> bool:
    """Let what reads `weight` (outputs, inputs) by its rows read `WEIGHT.turned` (inputs, outputs); False for none."""
    readers = [node for node in model.graph.node if weight in node.input]
    turned: dict[str, str] = {}
    for node in readers:
        if node.op_type == "Transpose":
            turned[node.output[0]] = f"{weight}.turned"
            model.graph.node.remove(node)
        elif node.op_type == "Gemm":
            for by_rows in [each for each in node.attribute if each.name == "transB"]:
                node.attribute.remove(by_rows)
                node.input[1] = f"{weight}.turned"
                turned[weight] = f"{weight}.turned"
    name_holes(model, {old: new for old, new in turned.items() if old != weight})
    return bool(turned)


def supply_quantised_at_load(model: onnx.ModelProto, constants: Mapping[str, str]) -> None:
    """What the quantiser made of those constants becomes external: `HOLE.quantised`, int8, and `HOLE.scale`."""
    initializers = {each.name: each for each in model.graph.initializer}
    for constant, hole in constants.items():
        steps, scale = initializers[f"{constant}_quantized"], initializers[f"{constant}_scale"]
        model.graph.initializer.remove(steps)
        model.graph.initializer.remove(scale)
        shape = list(steps.dims) if constant == hole else list(steps.dims)[::-1]
        model.graph.initializer.append(_external(f"{hole}.quantised", TensorProto.INT8, shape))
        model.graph.initializer.append(_external(f"{hole}.scale", TensorProto.FLOAT, list(scale.dims)))
        supplied = {scale.name: f"{hole}.scale"}
        if constant == hole:
            supplied[steps.name] = f"{hole}.quantised"
        else:  # constants are turned once, at load
            turn = helper.make_node("Transpose", [f"{hole}.quantised"], [steps.name], f"turn {hole}", perm=[1, 0])
            model.graph.node.insert(0, turn)
        name_holes(model, supplied)


def place_holes(model: onnx.ModelProto, holes: Sequence[str]) -> None:
    """Say where in a file beside the program each one lies: as `edge_runtime.plain` writes them, in their order."""
    names = [name for hole in holes for name in (hole, f"{hole}.quantised", f"{hole}.scale")]
    external = {each.name: each for each in model.graph.initializer if each.data_location == TensorProto.EXTERNAL}
    end = 0
    for tensor in [external[name] for name in names if name in external]:
        length = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        del tensor.external_data[:]
        for key, value in (("location", HOLES), ("offset", end), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        end = aligned(end + length)


def _external(name: str, kind: int, shape: Sequence[int]) -> TensorProto:
    return TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
