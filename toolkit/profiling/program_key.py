"""What names a whole model in a profile."""

import torch
from torch.export import ExportedProgram

from toolkit.cache import digest


def program_key(graph: ExportedProgram) -> str:
    """Of its operations and shapes: time does not depend on the weights."""
    nodes = []
    for node in graph.graph.nodes:
        value = node.meta.get("val")
        shape = (tuple(value.shape), str(value.dtype)) if isinstance(value, torch.Tensor) else None
        nodes.append((node.op, node.name, str(node.target), str(node.args), str(node.kwargs), shape))
    return "program " + digest(nodes)
