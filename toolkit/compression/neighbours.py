"""Neighbours: layers of which one reads what the other computed, with no other layer in between."""

from collections.abc import Collection

import torch
from torch import nn
from torch.fx import Node

from toolkit.compression.depth.branches import draw_graph


def neighbours(model: nn.Module, example: torch.Tensor, layers: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Pairs (before, after) of those layers, in the order of the network; `example` is one input (1, *input_shape).

    Sums, activations and pooling lie between them, or nothing. Raises BadInput if torch.export cannot draw the graph.
    """
    made_by: dict[Node, frozenset[str]] = {}
    pairs: dict[tuple[str, str], None] = {}
    for node in draw_graph(model, example).graph.nodes:
        sources: frozenset[str] = frozenset().union(*(made_by.get(each, frozenset()) for each in node.all_input_nodes))
        layer = _layer(node, layers)
        if layer is None:
            made_by[node] = sources
        else:
            pairs |= dict.fromkeys((source, layer) for source in sorted(sources) if source != layer)
            made_by[node] = frozenset({layer})
    return tuple(pairs)


def _layer(node: Node, layers: Collection[str]) -> str | None:
    stack = [name for name, _ in node.meta.get("nn_module_stack", {}).values()]
    return next((name for name in reversed(stack) if name in layers), None)
