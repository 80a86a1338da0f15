"""Branches in a graph: additions of x and of what is computed from x, and what is computed for them alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.fx import GraphModule, Node

from toolkit.errors import BadInput, first_line
from toolkit.inputs import Inputs
from toolkit.models import MISFIT
from toolkit.quiet import quiet

_ADD = torch.ops.aten.add.Tensor


class Untraceable(BadInput):
    """A network whose graph cannot be drawn can be exported to no runtime either."""


@dataclass(frozen=True)
class Branch:
    """`end` is added to x and read by nothing else; `nodes`, with `end`, are all that is computed for it alone."""

    end: Node
    nodes: frozenset[Node]


@torch.no_grad()
def draw_graph(model: nn.Module, example: Inputs) -> GraphModule:
    """What `model` computes of one `example`, without operations in place. Raises Untraceable."""
    try:
        with quiet():
            return torch.export.export(model, tuple(example)).run_decompositions({}).module(check_guards=False)
    except MISFIT as error:
        first = first_line(error)
        raise Untraceable(
            f"torch.export cannot trace its forward: {first}",
            where="model",
            next="Its forward must be torch operations alone that do not branch on the values of tensors.",
        ) from error


def branches(graph: GraphModule) -> Iterator[Branch]:
    """Every sum of x and of something computed from x, or from a term of x; in the order of the network."""
    for node in graph.graph.nodes:
        if node.target is not _ADD or node.kwargs:  # a scaled sum has its scale there
            continue
        for end, x in (node.args, node.args[::-1]):
            if not isinstance(end, Node) or not isinstance(x, Node) or set(end.users) != {node}:
                continue
            if x.meta["val"].shape == node.meta["val"].shape and _reads(end, _terms(x)):
                yield Branch(end, _only_for(end))


def _terms(x: Node) -> set[Node]:
    """`x`, and the terms of it if it is a sum: to such a one the second of two branches from one x is added."""
    if x.target is not _ADD:
        return {x}
    return {x}.union(*(_terms(each) for each in x.all_input_nodes))


def _reads(node: Node, terms: set[Node]) -> bool:
    """Whether `node` is computed from one of `terms`, and is none of them."""
    seen, waiting = {node}, [node]
    while waiting:
        for each in waiting.pop().all_input_nodes:
            if each in terms:
                return True
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return False


def _only_for(end: Node) -> frozenset[Node]:
    """`end` and what nothing but it reads, directly or through others."""
    found, waiting = {end}, [end]
    while waiting:
        for each in waiting.pop().all_input_nodes:
            if each not in found and each.op == "call_function" and found.issuperset(each.users):
                found.add(each)
                waiting.append(each)
    return frozenset(found)
