"""An ONNX program with its holes filled for good, as stock ONNX Runtime loads it."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel


def filled(program: bytes, values: Mapping[str, np.ndarray], told: Mapping[str, str]) -> bytes:
    """`values` by external initializer; `told` is kept in the file's metadata. Raises ValueError if one is missing."""
    model = onnx.load_from_string(program)
    for hole in [each for each in model.graph.initializer if each.data_location == TensorProto.EXTERNAL]:
        if hole.name not in values:
            raise ValueError(f"nothing fills {hole.name}")
        value = np.ascontiguousarray(values[hole.name]).reshape(tuple(hole.dims))
        hole.CopyFrom(numpy_helper.from_array(value, hole.name))
    for key, text in told.items():
        model.metadata_props.add(key=key, value=text)
    ONNXModel(model).topological_sort()  # converters append nodes, which ONNX Runtime forgives and others do not
    return model.SerializeToString()
