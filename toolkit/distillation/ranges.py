"""Ranges of activations: the lowest and the highest value that an int8 program tells apart in each place."""

import torch
from torch import nn

from toolkit.distillation.fake_quantise import quantised_layers
from toolkit.distillation.sums import visited_sums
from toolkit.runtimes.arithmetic import Quantisation, Ranges
from toolkit.runtimes.examples import drawn

_BATCH = 32
_OUTSIDE = 1e-4  # of the values of an example, at either end
_WILD = 20  # of so many examples, one may be wild


@torch.no_grad()
def read_ranges(model: nn.Module, quantisation: Quantisation) -> dict[str, torch.Tensor]:
    """Lowest and highest (2,) of what each layer and each sum sees while `model` computes some examples in fp32.

    Batch normalisation uses its running statistics. "minmax" is the extremes over all; "percentile" leaves out 1e-4 of
    the values of each example at either end, and then a twentieth of the examples; "entropy" is read as "percentile",
    from which an exporter clips a little further: its search takes seconds a layer. A dynamic program finds its ranges
    itself: there are none. Raises BadInput if the examples cannot be used.
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
            for x in drawn(quantisation.examples).split(_BATCH):
                model(x)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return {name: _over_examples(torch.cat(found), quantisation.ranges) for name, found in seen.items()}


def _extremes(x: torch.Tensor, ranges: Ranges) -> torch.Tensor:
    """(N, ...) -> (N, 2): lowest and highest of each example."""
    rows = x.flatten(1)
    outside = 0 if ranges == "minmax" else int(_OUTSIDE * rows.shape[1])
    if outside == 0:
        return torch.stack([rows.amin(1), rows.amax(1)], 1)
    kept = rows.shape[1] - outside
    return torch.stack([rows.kthvalue(1 + outside, 1).values, rows.kthvalue(kept, 1).values], 1)


def _over_examples(found: torch.Tensor, ranges: Ranges) -> torch.Tensor:
    """(N, 2) -> (2,)."""
    wild = 0 if ranges == "minmax" else len(found) // _WILD
    ordered = found.sort(0).values
    return torch.stack([ordered[wild, 0], ordered[len(found) - 1 - wild, 1]])
