"""What names a whole model in a profile."""

import torch
from torch.export import ExportedProgram

from toolkit.cache import digest
from toolkit.runtimes.arithmetic import Quantisation

# What the name of a whole model begins with; those of layers begin otherwise.
WHOLE = "program "
# Agents of before let ONNX Runtime round the weights of fp32 layers: what they measured is another program.
_STAYS = "as they are"


def program_key(graph: ExportedProgram) -> str:
    """Of its operations and shapes: time does not depend on the weights."""
    nodes = []
    for node in graph.graph.nodes:
        value = node.meta.get("val")
        shape = (tuple(value.shape), str(value.dtype)) if isinstance(value, torch.Tensor) else None
        nodes.append((node.op, node.name, str(node.target), str(node.args), str(node.kwargs), shape))
    return WHOLE + digest(nodes)


def quantised_key(key: str, quantisation: Quantisation | None) -> str:
    """Of the same graph where it leaves fp32; the ranges of its activations do not change its time."""
    if quantisation is None:
        return key
    fp32 = [*sorted(quantisation.fp32_layers), *([_STAYS] if quantisation.fp32_layers else [])]
    return WHOLE + digest(key, str(quantisation.arithmetic), fp32)
