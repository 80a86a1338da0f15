"""Ranges of the activations of an ONNX graph, read from examples one batch at a time."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper
from onnxruntime.quantization.calibrate import HistogramCollector

from toolkit.quiet import quiet
from toolkit.runtimes.arithmetic import Ranges
from toolkit.runtimes.examples import drawn

_OUTSIDE = 1e-4  # of the values of a batch, at either end
_WILD = 20  # of so many batches, the outermost one counts for nothing
_BINS, _STEPS = 512, 128


def read_ranges(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    holes: Mapping[str, np.ndarray],
    examples: torch.Tensor,
    ranges: Ranges,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Lowest and highest value of each tensor, float32, while `model` computes in fp32 with `holes` for further inputs.

    "minmax" is the extremes over all examples. "percentile" leaves out 1e-4 of the values of each, and then a twentieth
    of the examples at either end: so many may be wild. "entropy" clips within those where a histogram of 128 steps
    loses the least information (`onnxruntime.quantization`). Raises BadInput if the examples cannot be used.
    """
    batches = _batches(drawn(examples), model)
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in tensors}
    for values in _run(model, tensors, holes, batches):
        for name, value in values.items():
            seen[name].append(_extremes(value, ranges))
    limits = {name: _over_batches(np.array(found, np.float32), ranges) for name, found in seen.items()}
    if ranges == "entropy":
        limits |= _least_information_lost(_run(model, tensors, holes, batches), limits)
    return limits


def _batches(examples: torch.Tensor, model: onnx.ModelProto) -> list[np.ndarray]:
    """As many at a time as the graph takes; the last ones are made up to it by the first."""
    size = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1
    missing = -len(examples) % size
    padded = torch.cat([examples, examples.repeat(size, *[1] * (examples.dim() - 1))[:missing]])
    return [each.numpy() for each in padded.split(size)]


def _run(
    model: onnx.ModelProto, tensors: Sequence[str], holes: Mapping[str, np.ndarray], batches: Sequence[np.ndarray]
) -> Iterator[dict[str, np.ndarray]]:
    """Values of the tensors, batch by batch."""
    given = model.graph.input[0].name
    inner = [name for name in tensors if name != given]
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inner)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    fed = {each.name for each in session.get_inputs()}
    constant = {name: value for name, value in holes.items() if name in fed}
    for x in batches:
        values = session.run(inner, {given: x, **constant}) if inner else []
        yield dict(zip(inner, values, strict=True)) | ({given: x} if given in tensors else {})


def _extremes(value: np.ndarray, ranges: Ranges) -> tuple[float, float]:
    values = value.ravel()
    outside = 0 if ranges == "minmax" else int(_OUTSIDE * values.size)
    if outside:
        values = np.partition(values, (outside, values.size - 1 - outside))[outside : values.size - outside]
    return values.min(), values.max()


def _over_batches(found: np.ndarray, ranges: Ranges) -> tuple[np.ndarray, np.ndarray]:
    """(batches, 2) -> lowest, highest."""
    wild = 0 if ranges == "minmax" else len(found) // _WILD
    ordered = np.sort(found, axis=0)
    return ordered[wild, 0], ordered[len(found) - 1 - wild, 1]


def _least_information_lost(
    batches: Iterator[dict[str, np.ndarray]], limits: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    collector = HistogramCollector("entropy", False, _BINS, _STEPS, None, None)
    spread = {name: np.array(limit, np.float32) for name, limit in limits.items() if limit[0] < limit[1]}
    if not spread:
        return {}
    with quiet():
        collector.collect(spread)  # so that the bins span what may come
        for values in batches:
            collector.collect({name: np.clip(values[name], *limit) for name, limit in spread.items()})
        found = collector.compute_collection_result()
    return {
        name: (np.asarray(low, np.float32), np.asarray(high, np.float32)) for name, (low, high, *_) in found.items()
    }
