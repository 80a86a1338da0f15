"""Channels removed from a convolutional network: by Torch-Pruning's own recipe, or a number of them chosen per group.

Which layers change shape together is the library's dependency graph (DepGraph, Fang et al. 2023) in both.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch_pruning as tp
from torch import nn

_STEPS = 200  # of the library's reproduction of its paper ("progressively with small steps")
_LEAST_MACS = 1 / 6


@dataclass(frozen=True)
class Group:
    """Channels that the convolution `root` makes; `layers` are all that change shape with them."""

    root: str
    layers: tuple[str, ...]
    channels: int


def depgraph_steps(network: nn.Module, head: nn.Module, x: torch.Tensor, *, ranked_together: bool) -> list[nn.Module]:
    """The networks that the library's recipe passes through, largest first.

    `group_norm` of its reproduction of ResNet-56 on CIFAR-10, without sparsity learning: channels by the mean squared
    norm of their weights, relative to the group's, in one ranking of all groups or the same share of each.
    """
    network = copy.deepcopy(network).requires_grad_(True)
    ignored = [network.get_submodule(name) for name, module in network.named_modules() if _same(module, head)]
    pruner = tp.pruner.GroupNormPruner(
        network,
        x,
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        global_pruning=ranked_together,
        iterative_steps=_STEPS,
        pruning_ratio=1.0,
        ignored_layers=ignored,
    )
    dense_macs, _ = tp.utils.count_ops_and_params(network, x)
    macs, found = dense_macs, []
    for _ in range(_STEPS):
        pruner.step()
        now, _ = tp.utils.count_ops_and_params(network, x)
        if now < macs:
            found.append(copy.deepcopy(network))
        macs = now
        if macs < _LEAST_MACS * dense_macs:
            break
    return found


def independent_groups(network: nn.Module, head: nn.Module, x: torch.Tensor) -> list[Group]:
    """Groups no two of which share a layer, those of fewest layers first: what one costs does not depend on another.

    In a residual network these are the channels inside each block.
    """
    names = {module: name for name, module in network.named_modules()}
    graph = tp.DependencyGraph().build_dependency(network, example_inputs=x)
    groups = []
    for group in graph.get_all_groups(ignored_layers=[head], root_module_types=[nn.Conv2d]):
        shaped = {names[dependency.target.module] for dependency, _ in group if dependency.target.module in names}
        root = group[0].dep.target.module
        layers = tuple(
            sorted(name for name in shaped if isinstance(network.get_submodule(name), nn.Conv2d | nn.Linear))
        )
        groups.append(Group(names[root], layers, root.out_channels))
    taken: set[str] = set()
    chosen = []
    for group in sorted(groups, key=lambda each: len(each.layers)):
        if taken.isdisjoint(group.layers):
            taken.update(group.layers)
            chosen.append(group)
    return chosen


def order_of_channels(
    network: nn.Module, groups: list[Group], x: torch.Tensor, loss: Callable[[nn.Module], Iterator[torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """Channels of each group, least important first, by the library's first-order Taylor estimate on those losses."""
    network = copy.deepcopy(network).requires_grad_(True)
    for each in loss(network):
        each.backward()
    graph = tp.DependencyGraph().build_dependency(network, example_inputs=x)
    importance = tp.importance.GroupTaylorImportance()
    return {
        group.root: importance(_coupled(graph, network, group.root, range(group.channels))).argsort()
        for group in groups
    }


def prune(
    network: nn.Module, order: dict[str, torch.Tensor], kept: dict[str, int | None], x: torch.Tensor
) -> nn.Module:
    """A copy with as many channels in each group, by its root; None leaves all."""
    network = copy.deepcopy(network).requires_grad_(True)
    for root, count in kept.items():
        removed = [] if count is None else order[root][: len(order[root]) - count].tolist()
        if removed:
            graph = tp.DependencyGraph().build_dependency(network, example_inputs=x)
            _coupled(graph, network, root, removed).prune()
    return network.eval()


def _coupled(graph: tp.DependencyGraph, network: nn.Module, root: str, channels: "range | list[int]") -> tp.Group:
    return graph.get_pruning_group(network.get_submodule(root), tp.prune_conv_out_channels, idxs=list(channels))


def _same(module: nn.Module, head: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and isinstance(head, nn.Linear) and module.out_features == head.out_features
