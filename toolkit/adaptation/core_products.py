"""Cores of convolutions as products of matrices, in a traced gradient.

A core is trained, so its weight goes into the graph at each call. XNNPACK takes no convolution by such a weight: one by
plain loops took ten times as long as all else together. A 1 x 1 convolution is a product, which it does take.
"""

from collections.abc import Collection

import torch
from torch.fx import GraphModule, Node

_aten = torch.ops.aten


def multiply_by_cores(graph: GraphModule, trained: Collection[Node]) -> None:
    """Write every plain 1 x 1 convolution by one of the `trained` nodes, and its gradient, as a product; in place."""
    for node in list(graph.graph.nodes):
        if node.target is not _aten.convolution.default or node.args[1] not in trained or not _is_plain(node):
            continue
        x, weight, bias, transposed = node.args[0], node.args[1], node.args[2], node.args[6]
        shape, (count, outputs, *places) = x.meta["val"].shape, node.meta["val"].shape
        with graph.graph.inserting_before(node):
            rows = graph.graph.call_function(_aten.view.default, (x, [*shape[:2], -1]))
            matrix = graph.graph.call_function(_aten.view.default, (weight, list(weight.meta["val"].shape[:2])))
            if transposed:
                matrix = graph.graph.call_function(_aten.permute.default, (matrix, [1, 0]))
            several = graph.graph.call_function(_aten.expand.default, (matrix, [count, outputs, shape[1]]))
            product = graph.graph.call_function(_aten.bmm.default, (several, rows))
            made = graph.graph.call_function(_aten.view.default, (product, [count, outputs, *places]))
            if bias is not None:
                column = graph.graph.call_function(_aten.view.default, (bias, [1, outputs, *(1 for _ in places)]))
                made = graph.graph.call_function(_aten.add.Tensor, (made, column))
        made.meta["val"] = node.meta["val"]
        node.replace_all_uses_with(made)
        graph.graph.erase_node(node)


def _is_plain(node: Node) -> bool:
    """Of 1 x 1, one by one, around nothing, all channels with all."""
    weight, (stride, padding, dilation, _, more, groups) = node.args[1], node.args[3:9]
    places = weight.meta["val"].shape[2:]  # type: ignore[union-attr]
    ones = [*places, *stride, *dilation, groups]  # type: ignore[misc]
    return len(places) > 0 and all(each == 1 for each in ones) and not any([*padding, *more])  # type: ignore[misc]
