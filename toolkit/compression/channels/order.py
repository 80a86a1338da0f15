"""Which channels of a group matter least: Torch-Pruning's first-order Taylor estimate, summed over the group's layers.

The estimate is |weight x gradient| (Molchanov et al. 2019), each layer's share relative to its mean channel.
"""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import nn

from toolkit.compression.channels.find import draw_graph
from toolkit.compression.channels.group import ChannelGroup, RankedChannels
from toolkit.inputs import Inputs


def rank_channels(
    model: nn.Module,
    groups: dict[str, ChannelGroup],
    example: Inputs,
    losses: Callable[[nn.Module], Iterator[torch.Tensor]],
) -> dict[str, RankedChannels]:
    """Every group with its channels in order, by the gradients of `losses(model)`, one scalar a batch, added up.

    `example` are the inputs of one.
    """
    import torch_pruning

    model = copy.deepcopy(model).requires_grad_(True)
    with torch.enable_grad():
        for loss in losses(model):
            loss.backward()
    graph = draw_graph(model, example)
    importance = torch_pruning.importance.GroupTaylorImportance()
    ranked = {}
    for name, group in groups.items():
        root = model.get_submodule(group.root)
        remove = graph.get_pruner_of_module(root).prune_out_channels
        coupled = graph.get_pruning_group(root, remove, idxs=list(range(group.channels)))
        order = importance(coupled).argsort(descending=True, stable=True)
        ranked[name] = RankedChannels(group, tuple(order.tolist()))
    return ranked
