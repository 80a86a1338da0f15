"""Find the residual blocks of a network in its graph, and check each.

The graph is torch.export's: what a forward computes, whatever its modules are called. A block is offered only where
removing it does what it should: the network then computes what its graph computes with zeros for the branch.
"""

import ast
import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Interpreter, Node

from toolkit.compression.depth.block import Gone, ResidualBlock
from toolkit.compression.depth.branches import Branch, branches, draw_graph
from toolkit.compression.depth.remove import remove_block
from toolkit.compression.depth.returned import Returned, watch_returns
from toolkit.compression.shaken import shaken
from toolkit.compression.sharing import holders
from toolkit.inputs import Inputs, join
from toolkit.models import MISFIT

_TOLERANCE = 1e-4
# What each module computes.
_Calls = dict[nn.Module, list[Node]]


def residual_blocks(model: nn.Module, example: Inputs) -> tuple[dict[str, ResidualBlock], tuple[str, ...]]:
    """Blocks by name that `model` can do without, as they run, and the roots of those that failed the check.

    `example` are the inputs of one. A block is `x + branch(x)` where modules with parameters compute the
    branch and nothing else reads what they compute; where the shortcut computes something of its own, there is none.
    No two blocks hold the same module: of nested ones, the inner are taken. Raises BadInput if torch.export cannot draw
    the graph.
    """
    # The fused path of nn.TransformerEncoderLayer reads attributes of the modules in its branches.
    torch.backends.mha.set_fastpath_enabled(False)
    noisy = shaken(model)
    graph = draw_graph(noisy, example)
    calls, returns = _calls(noisy, graph), watch_returns(noisy, example)
    candidates = [(branch, _block(noisy, branch, calls, returns)) for branch in branches(graph)]
    taken: set[str] = set()
    found: list[ResidualBlock] = []
    failed: list[str] = []
    for branch, block in sorted(candidates, key=lambda each: len(each[0].nodes)):
        if block is None or not taken.isdisjoint(touched := _touched(noisy, block)):
            continue
        if holds(noisy, block, graph, branch.end, example):
            taken |= touched
            found.append(block)
        else:
            failed.append(block.root)
    return {block.name: block for _, block in candidates if block in found}, tuple(failed)


@torch.no_grad()
def holds(model: nn.Module, block: ResidualBlock, graph: GraphModule, end: Node, example: Inputs) -> bool:
    """Whether `model` without the block computes what its `graph` does with zeros for the branch, which ends at `end`.

    Two examples must give twice what one gives.
    """
    removed = copy.deepcopy(model, {id(each): each for each in model.parameters()})  # parameters are not changed
    try:
        remove_block(removed, block)
        expected = _Zeroed(graph, end).run(*_copied(example))
        made = [removed(*_copied(example)), *removed(*join([example, example])).split(len(example))]
    except MISFIT:
        return False
    if any(each.shape != expected.shape for each in made):
        return False
    return all(bool((each - expected).abs().max() <= _TOLERANCE * expected.abs().max()) for each in made)


def _copied(example: Inputs) -> list[torch.Tensor]:
    """For a network that may write over them."""
    return [each.clone() for each in example]


class _Zeroed(Interpreter):
    """The graph with zeros for what one node computes."""

    def __init__(self, graph: GraphModule, zero: Node) -> None:
        super().__init__(graph)
        self.zero = zero

    def run_node(self, node: Node) -> Any:
        computed = super().run_node(node)
        return torch.zeros_like(computed) if node is self.zero else computed


def _calls(model: nn.Module, graph: GraphModule) -> _Calls:
    """Modules and their nodes, those of modules in them too; both in the order of the graph."""
    found: _Calls = {}
    for node in graph.graph.nodes:
        for name, _ in node.meta.get("nn_module_stack", {}).values():
            found.setdefault(_called(model, name), []).append(node)
    return found


def _called(model: nn.Module, name: str) -> nn.Module:
    """The module of that name in a graph, where `blocks.slice(0, 2, None).1` is `model.blocks[0:2][1]`."""
    module: Any = model
    for part in name.split(".") if name else ():
        cut = part.startswith("slice(")
        module = module[slice(*ast.literal_eval(part.removeprefix("slice")))] if cut else getattr(module, part)
    return module


def _block(model: nn.Module, branch: Branch, calls: _Calls, returns: dict[nn.Module, Returned]) -> ResidualBlock | None:
    """The block of that branch; None if no parameters would go with it, or others compute with the same ones."""
    inside = {module for module, nodes in calls.items() if branch.nodes.issuperset(nodes)}
    names = {module: name for name, module in _outermost(model, inside & returns.keys())}
    added = _added(branch, {node: module for module in names for node in calls[module]})
    parts = {each: name for name, each in model.named_modules() if any(each in gone.modules() for gone in names)}
    layers = [each for each in calls if each in parts and isinstance(each, nn.Linear | nn.Conv2d)]
    shared = any(holder not in parts for each in layers for _, holder in holders(model, each))
    if not added or shared or not any(list(each.parameters()) for each in names):
        return None
    gone = tuple(Gone(names[each], returns[each], each in added) for each in calls if each in names)
    return ResidualBlock(parts[layers[0]] if layers else gone[0].module, tuple(parts[each] for each in layers), gone)


def _outermost(module: nn.Module, wanted: set[nn.Module], within: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Those of the wanted modules that are in no other of them."""
    for name, child in module.named_children():
        if child in wanted:
            yield within + name, child
        else:
            yield from _outermost(child, wanted, f"{within}{name}.")


def _added(branch: Branch, makers: dict[Node, nn.Module]) -> set[nn.Module]:
    """The modules whose outputs the end of the branch is made of, by operations between modules."""
    found, seen, waiting = set(), {branch.end}, [branch.end]
    while waiting:
        node = waiting.pop()
        if node in makers:
            found.add(makers[node])
            continue
        inputs = branch.nodes.intersection(node.all_input_nodes) - seen
        seen |= inputs
        waiting.extend(inputs)
    return found


def _touched(model: nn.Module, block: ResidualBlock) -> set[str]:
    """Every module that goes, by name."""
    return {
        f"{gone.module}.{name}".removesuffix(".")
        for gone in block.gone
        for name, _ in model.get_submodule(gone.module).named_modules()
    }
