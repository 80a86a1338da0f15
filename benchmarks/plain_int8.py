"""Static int8 in ten lines of `onnxruntime.quantization`: what a user finds first, and how rivals are deployed."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from toolkit.quiet import quiet
from toolkit.tasks import Examples

import torch  # isort: skip  # toolkit is imported before torch: it sets how OpenMP waits
from torch import nn  # isort: skip

# Activations as -128..127 or as 0..255: which is faster, a board's clock says.
FORMS = {"signed": QuantType.QInt8, "unsigned": QuantType.QUInt8}


class _Images(CalibrationDataReader):
    """Images one at a time, as a program of batch one takes them."""

    def __init__(self, name: str, x: torch.Tensor) -> None:
        self._rest = iter([{name: image.numpy()} for image in x.split(1)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rest, None)


def to_onnx(network: nn.Module, example: torch.Tensor) -> bytes:
    """The fp32 network as an ONNX file, of one `example` (1, *input_shape)."""
    with quiet():
        exported = torch.onnx.export(network.eval(), (example,), dynamo=True, verbose=False)
    assert exported is not None
    return bytes(exported.model_proto.SerializeToString())


def to_int8(program: bytes, x: torch.Tensor, form: str) -> bytes:
    """QDQ, weights per channel, ranges by the extremes over the images `x` (N, *input_shape)."""
    with _prepared(program) as (prepared, made):
        quantize_static(
            str(prepared),
            str(made),
            _Images(onnx.load(prepared).graph.input[0].name, x),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=FORMS[form],
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return made.read_bytes()


def to_dynamic_int8(program: bytes) -> bytes:
    """Weights of matrix products are int8, per channel; their inputs are rounded as they come."""
    with _prepared(program) as (prepared, made):
        # Convolutions are left: of dynamic ones ONNX Runtime has slow kernels, or none.
        products = ["MatMul", "Gemm"]
        quantize_dynamic(prepared, made, op_types_to_quantize=products, per_channel=True, weight_type=QuantType.QInt8)
        return made.read_bytes()


@contextmanager
def _prepared(program: bytes) -> Iterator[tuple[Path, Path]]:
    """The file to quantise, and where to."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        dense, prepared, made = (Path(folder, name) for name in ("fp32.onnx", "prepared.onnx", "int8.onnx"))
        dense.write_bytes(program)
        quant_pre_process(str(dense), str(prepared), skip_symbolic_shape=True)  # no dimension is symbolic
        _forget_shapes(prepared)
        yield prepared, made


def _forget_shapes(file: Path) -> None:
    """Of what lies between nodes: the optimiser leaves some as they were before it, and inference then refuses it."""
    model = onnx.load(file)
    del model.graph.value_info[:]
    onnx.save(model, file)


def runner(program: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """One image (1, *input_shape) -> logits (1, classes), by ONNX Runtime on this machine."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(program, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def accuracy(run: Callable[[np.ndarray], np.ndarray], examples: Examples) -> float:
    """Share of the examples that the very program classifies correctly, one at a time."""
    right = [
        int(run(x.numpy()).argmax()) == int(y)
        for x, y in zip(examples.x.tensors["x"].split(1), examples.y, strict=True)
    ]
    return float(np.mean(right))
