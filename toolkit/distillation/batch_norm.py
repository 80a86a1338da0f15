"""Statistics of batch normalisation follow the weights before it: those of the dense model are wrong for a compact one.

Sources: Slimmable Neural Networks (Yu et al. 2019: statistics of their own for each width), EagleEye (Li et al. 2020:
statistics estimated anew before pruned models are compared).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from toolkit.inputs import Inputs
from toolkit.rerun import Call, call

# Of fewer examples the dense model's statistics are the better estimate.
ENOUGH = 256
_AT_MOST, _BATCH = 1024, 64


@torch.no_grad()
def estimate_statistics(model: nn.Module, x: Inputs, run: Call = call) -> None:
    """Replace means and variances of every batch normalisation, in place, by those over some of `x`.

    They are drawn from all of it, always the same: data sorted by class would make batches of one class. Leaves
    the model as it is where it has none, or `x` has fewer than `ENOUGH` examples.
    """
    norms = _norms(model)
    if not norms or len(x) < ENOUGH:
        return
    drawn = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:_AT_MOST]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    with batch_statistics(model):
        for number, index in enumerate(drawn.split(_BATCH)):
            if len(index) == _BATCH:
                run(model, number, x[index])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Inside, batch normalisation uses statistics of each batch and learns the running ones; no other module trains."""
    norms = _norms(model)
    modes = [norm.training for norm in norms]
    for norm in norms:
        norm.train()
    try:
        yield
    finally:
        for norm, mode in zip(norms, modes, strict=True):
            norm.train(mode)


def _norms(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
