"""Layers that can become compact in fact: one compact copy of the network is run before anything is measured."""

import copy

import torch
from torch import nn

from toolkit.compression.compress import make_compact
from toolkit.compression.layers import Dense, Factors, matrix
from toolkit.inputs import Inputs
from toolkit.models import MISFIT

_DIFFERENCE = 1e-3  # of the largest output


@torch.no_grad()
def replaceable(model: nn.Module, layers: dict[str, Dense], x: Inputs) -> dict[str, Dense]:
    """Those of the layers with which compact, at full rank, `model` (x -> features) still answers what it did.

    What surrounds a layer may want more of it than its outputs. One copy with all of them compact says so as a rule;
    only where it answers otherwise is each tried alone.
    """
    answer = model(*x)
    if _agrees(model, list(layers), x, answer):
        return layers
    alone = [name for name in layers if _agrees(model, [name], x, answer)]
    return {name: layers[name] for name in alone} if _agrees(model, alone, x, answer) else {}


def _agrees(model: nn.Module, names: list[str], x: Inputs, answer: torch.Tensor) -> bool:
    compact = copy.deepcopy(model)
    for name in names:
        layer = compact.get_submodule(name)
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        make_compact(compact, name, _whole(matrix(layer)))
    try:
        found = compact(*x)
    except MISFIT:
        return False
    return found.shape == answer.shape and torch.allclose(found, answer, atol=_DIFFERENCE * float(answer.abs().max()))


def _whole(weight: torch.Tensor) -> Factors:
    """Factors whose product is the weight (m, n) itself: nothing need be decomposed."""
    m, n = weight.shape
    if m <= n:
        return Factors(torch.eye(m), torch.eye(m), weight.T)
    return Factors(weight, torch.eye(n), torch.eye(n))
