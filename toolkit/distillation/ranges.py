"""Ranges of activations: the lowest and the highest value that an int8 program tells apart in each place."""

import torch
from torch import nn

from toolkit.distillation.fake_quantise import quantised_layers
from toolkit.distillation.sums import Visit, visited_sums
from toolkit.runtimes.arithmetic import Quantisation
from toolkit.runtimes.clipping import extremes, histogram, least_information_lost, limits
from toolkit.runtimes.examples import drawn

_BATCH = 32


def read_ranges(model: nn.Module, quantisation: Quantisation) -> dict[str, torch.Tensor]:
    """Lowest and highest (2,) of what each layer and each sum sees while `model` computes some examples in fp32.

    Batch normalisation uses its running statistics. What counts is as in `runtimes.clipping`, as an exporter reads it.
    A dynamic program finds its ranges itself: there are none. Raises BadInput if the examples cannot be used.
    """
    if not quantised_layers(model, quantisation) or quantisation.arithmetic.activations == "dynamic":
        return {}
    ranges = quantisation.ranges
    seen: dict[str, list[torch.Tensor]] = {}

    def see(name: str, x: torch.Tensor) -> torch.Tensor:
        seen.setdefault(name, []).append(extremes(x.flatten(1), ranges))
        return x

    _visit(model, quantisation, see)
    found = {name: limits(torch.cat(each), ranges) for name, each in seen.items()}
    if ranges != "entropy":
        return found
    counts: dict[str, list[torch.Tensor]] = {}

    def count(name: str, x: torch.Tensor) -> torch.Tensor:
        counts.setdefault(name, []).append(histogram(x, found[name]))
        return x

    _visit(model, quantisation, count)
    return {name: least_information_lost(torch.stack(counts[name]).sum(0), each) for name, each in found.items()}


@torch.no_grad()
def _visit(model: nn.Module, quantisation: Quantisation, visit: Visit) -> None:
    """Show what each layer and each sum sees, a batch at a time."""
    modes = {module: module.training for module in model.modules()}
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: (visit(name, inputs[0]), *inputs[1:]))
        for name, layer in quantised_layers(model, quantisation).items()
    ]
    try:
        model.eval()
        with visited_sums(model, visit):
            for x in drawn(quantisation.examples).batches(_BATCH):
                model(*x)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
