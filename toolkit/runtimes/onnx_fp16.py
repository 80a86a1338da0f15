"""Turn a float32 ONNX graph into fp16 by ONNX Runtime's converter. Its holes stay float32."""

from collections.abc import Collection, Sequence

import onnx
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
    return made
