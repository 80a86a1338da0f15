"""Ranges of activations: the lowest and the highest value that an int8 program tells apart in each place."""

import torch
from torch import nn

from toolkit.distillation.fake_quantise import quantised_layers
from toolkit.distillation.sums import visited_sums
from toolkit.runtimes.arithmetic import Quantisation, Ranges

_BATCH, _AT_MOST = 32, 256
_OUTSIDE = 1e-5  # of the values of a batch, at either end


@torch.no_grad()
def read_ranges(model: nn.Module, quantisation: Quantisation) -> dict[str, torch.Tensor]:
    """Lowest and highest (2,) of what each layer and each sum sees while `model` computes some examples in fp32.

    Batch normalisation uses its running statistics. "minmax" is the extremes over all; "percentile" leaves out the
    outermost of each batch and takes the median over batches, so that a few wild examples count for nothing. "entropy"
    is read as "percentile": its search takes seconds a layer, and both clip rare values. A dynamic program finds its
    ranges itself: there are none.
    """
    layers = quantised_layers(model, quantisation)
    if not layers or quantisation.arithmetic.activations == "dynamic":
        return {}
    seen: dict[str, list[torch.Tensor]] = {}

    def see(name: str, x: torch.Tensor) -> torch.Tensor:
        seen.setdefault(name, []).append(_extremes(x, quantisation.ranges))
        return x

    modes = {module: module.training for module in model.modules()}
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: (see(name, inputs[0]), *inputs[1:]))
        for name, layer in layers.items()
    ]
    try:
        model.eval()
        with visited_sums(model, see):
            for x in _some(quantisation.examples).split(_BATCH):
                model(x)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return {name: _over_batches(torch.stack(found), quantisation.ranges) for name, found in seen.items()}


def _some(examples: torch.Tensor) -> torch.Tensor:
    """Drawn from all, always the same: they may be sorted by class."""
    drawn = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))
    return examples[drawn[:_AT_MOST]]


def _extremes(x: torch.Tensor, ranges: Ranges) -> torch.Tensor:
    values = x.flatten()
    outside = 0 if ranges == "minmax" else int(_OUTSIDE * len(values))
    if outside == 0:
        return torch.stack([values.min(), values.max()])
    return torch.stack([values.kthvalue(1 + outside).values, values.kthvalue(len(values) - outside).values])


def _over_batches(found: torch.Tensor, ranges: Ranges) -> torch.Tensor:
    """(batches, 2) -> (2,)."""
    if ranges == "minmax":
        return torch.stack([found[:, 0].min(), found[:, 1].max()])
    return found.median(0).values
