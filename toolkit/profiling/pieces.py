"""Piece: one layer of a network that lost channels, as it is there: a dense layer of another shape."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from toolkit.compression import ChannelGroup, RankedChannels, compress
from toolkit.profiling.candidates import candidate_channels


@dataclass(frozen=True)
class Piece:
    """A layer and the shape of its input for one example, batch dimension first."""

    layer: nn.Linear | nn.Conv2d
    input_shape: tuple[int, ...]


# Channels kept of one group (None: all) -> the layers that it narrows, by name.
Pieces = dict[int | None, dict[str, Piece]]


def pieces_of(model: nn.Module, group: ChannelGroup, x: torch.Tensor, multiple: int) -> Pieces:
    """A group's layers in `model` as it is, and with each candidate number of channels left; `x` is one example."""
    ranked = {group.name: RankedChannels(group, tuple(range(group.channels)))}  # time does not depend on which
    pieces: Pieces = {}
    for kept in (None, *candidate_channels(group.channels, multiple)):
        narrowed = compress(model, ranked, {group.name: kept})
        shapes = input_shapes(narrowed, group.layers, x)
        pieces[kept] = {name: Piece(_layer(narrowed, name), shapes[name]) for name in group.layers}
    return pieces


@torch.no_grad()
def input_shapes(model: nn.Module, layers: Iterable[str], x: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """What each of those layers gets first when `model` runs on `x`."""
    shapes: dict[str, tuple[int, ...]] = {}
    handles = [model.get_submodule(name).register_forward_pre_hook(_recorder(shapes, name)) for name in layers]
    model(x)
    for handle in handles:
        handle.remove()
    return shapes


def _recorder(shapes: dict[str, tuple[int, ...]], name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
    def record(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        shapes.setdefault(name, tuple(inputs[0].shape))

    return record


def _layer(model: nn.Module, name: str) -> nn.Linear | nn.Conv2d:
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv2d)  # as `ChannelGroup.layers` says
    return layer
