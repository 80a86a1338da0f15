"""Soft thresholds: components kept by degrees, so that a query's loss has a gradient in the policy's thresholds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from toolkit.compression.compress import compact_layers
from toolkit.compression.gains import GainCurve

_BISECTIONS = 40


@dataclass(frozen=True)
class Components:
    """One layer's components: `log_worth` (K,), the log of what each gains for its cost, and that `cost` (weights)."""

    log_worth: torch.Tensor
    cost: float


def components(curve: GainCurve, cost: float) -> Components:
    """A curve's steps between its ranks, shared evenly by the components of a step; never more than the step below."""
    worth: list[float] = []
    below, gained = 0, 0.0
    for rank, gain in sorted((choice.size or 0, gain) for choice, gain in curve.by_choice.items()):
        each = max((gain - gained) / (rank - below), 1e-12)
        worth += [min(each, worth[-1] if worth else each)] * (rank - below)
        below, gained = rank, gain
    return Components((torch.tensor(worth) / cost).log(), cost)


def soft_masks(
    layers: list[Components], log_thresholds: torch.Tensor, budget: float, temperature: float
) -> list[torch.Tensor]:
    """How far each component is kept, 0..1, by layer: `sigmoid((log worth - log tau - log threshold) / temperature)`.

    `tau` makes the kept weights `budget` in sum; its own derivative (implicit functions) is part of the gradient.
    As `temperature` goes to 0 masks become the prefixes that `allocate_by_thresholds` keeps.
    """
    worth = torch.cat([each.log_worth for each in layers])
    cost = torch.cat([torch.full_like(each.log_worth, each.cost) for each in layers])
    sizes = [len(each.log_worth) for each in layers]
    thresholds = torch.cat([log_thresholds[place].expand(size) for place, size in enumerate(sizes)])
    with torch.no_grad():
        relative = worth - thresholds
        low, high = relative.min() - 20 * temperature, relative.max() + 20 * temperature
        for _ in range(_BISECTIONS):
            log_tau = (low + high) / 2
            spent = (cost * torch.sigmoid((relative - log_tau) / temperature)).sum()
            low, high = (log_tau, high) if spent > budget else (low, log_tau)
        kept = torch.sigmoid((relative - log_tau) / temperature)
        slope = (cost * kept * (1 - kept)).sum().clamp_min(1e-9) / temperature
    # One Newton step from the root moves nothing and carries the derivative.
    spent = (cost * torch.sigmoid((worth - thresholds - log_tau) / temperature)).sum()
    log_tau = log_tau + (spent - spent.detach()) / slope
    return list(torch.sigmoid((worth - thresholds - log_tau) / temperature).split(sizes))


@contextmanager
def masked(model: nn.Module, masks: dict[str, torch.Tensor]) -> Iterator[None]:
    """Inside, the compact layers of `model` weigh their components: what enters and what leaves a core, by its mask."""
    handles = []
    for name, layer in compact_layers(model).items():
        for part in (layer.down, layer.core):
            handles.append(part.register_forward_hook(_weigh(masks[name], isinstance(part, nn.Conv2d))))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _weigh(mask: torch.Tensor, channels_first: bool) -> Callable[[object, object, torch.Tensor], torch.Tensor]:
    by_channel = mask[:, None, None] if channels_first else mask
    return lambda _, __, output: output * by_channel
