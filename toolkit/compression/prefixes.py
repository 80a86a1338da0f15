"""Nested cores: train prefixes, so that every prefix of a core is a good core.

Sources: nested dropout (Rippel, Gelbart & Adams 2014) drops all units behind a random one, so that the leading ones
carry most; Matryoshka representations (Kusupati et al. 2022) train the whole beside its prefixes. Our reading: every
other step trains the whole, the others a prefix that is the same share of every layer.
"""

import contextlib
import math
from collections.abc import Callable, Iterator

import torch
from torch import nn

from toolkit.compression.compress import compact_layers, sharing_core

_WHOLE = 0.5


def draw_prefixes(model: nn.Module, generator: torch.Generator) -> dict[str, int]:
    """A rank for every compact layer: at even odds the whole of all, or one share, uniform in (0, 1], of each."""
    whole, share = torch.rand(2, generator=generator).tolist()
    share = 1.0 if whole < _WHOLE else 1.0 - share
    return {name: math.ceil(share * layer.rank) for name, layer in compact_layers(model).items()}


def random_prefixes(model: nn.Module, generator: torch.Generator) -> contextlib.AbstractContextManager[None]:
    """Inside, `model` computes with prefixes drawn by `generator`: what one step of nested training runs in."""
    return prefixes(model, draw_prefixes(model, generator))


@contextlib.contextmanager
def prefixes(model: nn.Module, ranks: dict[str, int]) -> Iterator[None]:
    """Inside, those compact layers compute with their first `ranks[name]` components alone, as `truncate` makes them.

    Gradients reach no other part of their cores. Raises ValueError for a rank that is no prefix.
    """
    layers = compact_layers(model)
    for name, rank in ranks.items():
        if not 1 <= rank <= layers[name].rank:
            raise ValueError(f"rank {rank} is not a prefix of rank {layers[name].rank}")
    handles = [
        part.register_forward_hook(_only_first(rank))
        for name, rank in ranks.items()
        if rank < layers[name].rank
        for layer in dict.fromkeys(layer for _, layer in sharing_core(model, layers[name]))
        for part in (layer.down, layer.core)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _only_first(rank: int) -> Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], torch.Tensor]:
    """Zero what lies behind: the last axis of a Linear's output, the channels of a Conv2d's."""

    def hook(part: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        axis = 1 if isinstance(part, nn.Conv2d) else -1
        kept = output.narrow(axis, 0, rank)
        missing = torch.zeros_like(output.narrow(axis, rank, output.shape[axis] - rank))
        return torch.cat([kept, missing], axis)

    return hook
