"""Ranges of the activations of an ONNX graph, read from examples one batch at a time."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper

from toolkit.inputs import Inputs
from toolkit.runtimes.arithmetic import Ranges
from toolkit.runtimes.clipping import extremes, histogram, least_information_lost, limits
from toolkit.runtimes.examples import drawn


def read_ranges(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    holes: Mapping[str, np.ndarray],
    examples: Inputs,
    ranges: Ranges,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Lowest and highest value of each tensor, float32, while `model` computes in fp32 with `holes` for further inputs.

    What counts is as in `runtimes.clipping`. Raises BadInput if the examples cannot be used.
    """
    batches = _batches(drawn(examples), model)
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in tensors}
    for values in _run(model, tensors, holes, batches):
        for name, value in values.items():
            seen[name].append(extremes(value.reshape(1, -1), ranges))
    found = {name: limits(torch.cat(each), ranges) for name, each in seen.items()}
    if ranges == "entropy":
        counts = {name: torch.zeros(1) for name in tensors}
        for values in _run(model, tensors, holes, batches):
            for name, value in values.items():
                counts[name] = counts[name] + histogram(value, found[name])
        found = {name: least_information_lost(counts[name], each) for name, each in found.items()}
    return {name: (each[0].numpy(), each[1].numpy()) for name, each in found.items()}


def _batches(examples: Inputs, model: onnx.ModelProto) -> list[dict[str, np.ndarray]]:
    """As many at a time as the graph takes, by its names; the last ones are made up to it by the first."""
    given = model.graph.input[: len(examples.tensors)]
    size = given[0].type.tensor_type.shape.dim[0].dim_value or 1
    places = torch.arange(len(examples) + -len(examples) % size) % len(examples)
    return [
        {each.name: values.numpy() for each, values in zip(given, batch, strict=True)}
        for batch in examples[places].split(size)
    ]


def _run(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    holes: Mapping[str, np.ndarray],
    batches: Sequence[dict[str, np.ndarray]],
) -> Iterator[dict[str, torch.Tensor]]:
    """Values of the tensors, batch by batch."""
    inner = [name for name in tensors if name not in batches[0]]
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
        computed = session.run(inner, {**x, **constant}) if inner else []
        values = dict(zip(inner, computed, strict=True)) | {name: each for name, each in x.items() if name in tensors}
        yield {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in values.items()}
