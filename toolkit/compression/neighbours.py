"""Neighbours: layers of which one reads what the other computed, with no other layer in between."""

from collections.abc import Collection

from torch import nn
from torch.fx import Node

from toolkit.compression.depth.branches import draw_graph
from toolkit.inputs import Inputs


def neighbours(model: nn.Module, example: Inputs, layers: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Pairs (before, after) of those layers, in the order of the network; `example` are the inputs of one.

    Sums, activations and pooling lie between them, or nothing. Of a sum the layer counts that computed last: the sum is
    one tensor, and converted once. Raises BadInput if torch.export cannot draw the graph.
    """
    made_by: dict[Node, str] = {}
    pairs: dict[tuple[str, str], None] = {}
    order: list[str] = []
    for node in draw_graph(model, example).graph.nodes:
        sources = [made_by[each] for each in node.all_input_nodes if each in made_by]
        source = max(sources, key=order.index, default=None)
        layer = _layer(node, layers)
        if layer is not None:
            if source not in (None, layer):
                pairs[str(source), layer] = None
            if layer not in order:
                order.append(layer)
            made_by[node] = layer
        elif source is not None:
            made_by[node] = source
    return tuple(pairs)


def _layer(node: Node, layers: Collection[str]) -> str | None:
    stack = [name for name, _ in node.meta.get("nn_module_stack", {}).values()]
    return next((name for name in reversed(stack) if name in layers), None)
