"""Channels removed from a convolutional network by Torch-Pruning's own recipe (DepGraph, Fang et al. 2023)."""

import copy

import torch
import torch_pruning as tp
from torch import nn

_STEPS = 200  # of the library's reproduction of its paper ("progressively with small steps")
_LEAST_MACS = 1 / 12


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


def _same(module: nn.Module, head: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and isinstance(head, nn.Linear) and module.out_features == head.out_features
