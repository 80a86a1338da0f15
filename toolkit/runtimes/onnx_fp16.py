"""Turn a float32 ONNX graph into fp16 by ONNX Runtime's converter. Its holes stay float32."""

from collections.abc import Collection, Sequence

import onnx
from onnx import TensorProto
from onnxruntime.transformers.float16 import convert_float_to_float16

from toolkit.quiet import quiet
from toolkit.runtimes.onnx_layers import origins


def to_fp16(
    model: onnx.ModelProto, root: str, holes: Sequence[str], fp32_layers: Collection[str], float32: Sequence[str]
) -> onnx.ModelProto:
    """`float32` names the inputs and outputs that stay so, holes among them: casts of constants are made at load."""
    known = origins(model, root, holes)
    blocked = [name for name, origin in known.items() if origin.within(fp32_layers)]
    with quiet():
        made: onnx.ModelProto = convert_float_to_float16(
            model, keep_io_types=list(float32), node_block_list=blocked or None
        )
    _cast_once(made)
    _end_round_trips(made)
    return made


def _cast_once(model: onnx.ModelProto) -> None:
    """The converter (1.31) casts a tensor once for each fp32 layer that reads it, under one name: no valid graph."""
    made: set[str] = set()
    for node in [each for each in model.graph.node if each.op_type == "Cast"]:
        if node.output[0] in made:
            model.graph.node.remove(node)
        made.add(node.output[0])


def _end_round_trips(model: onnx.ModelProto) -> None:
    """Where fp32 goes to fp16 and at once back, at the ends of layers that stay fp32, keep what it was."""
    makers = {node.output[0]: node for node in model.graph.node if node.op_type == "Cast"}
    outputs = {each.name for each in model.graph.output}
    for back in [node for node in makers.values() if _target(node) == TensorProto.FLOAT]:
        there = makers.get(back.input[0])
        if there is None or _target(there) != TensorProto.FLOAT16:
            continue
        old, new = (there.input[0], back.output[0]) if back.output[0] in outputs else (back.output[0], there.input[0])
        model.graph.node.remove(back)
        for node in model.graph.node:
            node.input[:] = [new if each == old else each for each in node.input]
            node.output[:] = [new if each == old else each for each in node.output]
    read = {each for node in model.graph.node for each in node.input} | outputs
    for node in [each for each in model.graph.node if each.op_type == "Cast" and each.output[0] not in read]:
        model.graph.node.remove(node)


def _target(cast: onnx.NodeProto) -> int:
    return next(int(each.i) for each in cast.attribute if each.name == "to")
