"""Piece: one layer under one choice, as it is in the network; Part: what may be chosen, and the pieces it is of."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from toolkit.choice import DENSE, REMOVED, Choice, Precision
from toolkit.compression import ChannelGroup, RankedChannels, ResidualBlock, remove_channels
from toolkit.copied import copied_at
from toolkit.inputs import Inputs
from toolkit.profiling.candidates import group_choices, layer_choices
from toolkit.runtimes.arithmetic import FP32, Arithmetic

# In which precisions a board is offered a layer, each with the form that it runs fastest.
Arithmetics = Mapping[Precision, Arithmetic]
ONLY_FP32: Arithmetics = {"fp32": FP32}


@dataclass(frozen=True)
class Piece:
    """A layer, the shape of its input for one example (batch dimension first), what becomes of it, in what arithmetic.

    `narrowed`: only a network that lost channels has it.
    """

    layer: nn.Linear | nn.Conv2d
    input_shape: tuple[int, ...]
    choice: Choice = DENSE
    narrowed: bool = False
    arithmetic: Arithmetic = FP32


@dataclass(frozen=True)
class Part:
    """One thing that may be chosen, by choice: the layers that it concerns, by name, as they then are.

    A layer costs what its piece does. A group of channels, or a residual block, costs the difference to its pieces
    whole, and `decides` on those layers: where it is not whole, they are dense, and in its precision.
    """

    name: str
    pieces: Mapping[Choice, Mapping[str, Piece]]
    decides: tuple[str, ...] = ()


def layer_part(
    name: str,
    layer: nn.Linear | nn.Conv2d,
    input_shape: tuple[int, ...],
    multiple: int,
    arithmetics: Arithmetics = ONLY_FP32,
) -> Part:
    """A layer, dense and at its candidate ranks, in each of those precisions."""
    choices = layer_choices(layer, multiple, tuple(arithmetics))
    return Part(
        name,
        {each: {name: Piece(layer, input_shape, each, arithmetic=arithmetics[each.precision])} for each in choices},
    )


def fixed_part(name: str, layer: nn.Linear | nn.Conv2d, input_shape: tuple[int, ...], arithmetics: Arithmetics) -> Part:
    """A layer that is never compact, in each of those precisions."""
    choices = [Choice(precision=precision) for precision in arithmetics]
    pieces = {each: {name: Piece(layer, input_shape, each, arithmetic=arithmetics[each.precision])} for each in choices}
    return Part(name, pieces)


def group_part(
    model: nn.Module, group: ChannelGroup, x: Inputs, multiple: int, arithmetics: Arithmetics = ONLY_FP32
) -> Part:
    """A group's layers in `model` as it is, and with each candidate number of channels left; `x` is one example."""
    ranked = RankedChannels(group, tuple(range(group.channels)))  # time does not depend on which
    whole = input_shapes(model, group.layers, x)
    choices = group_choices(group.channels, multiple, tuple(arithmetics))

    def narrowed(size: int | None) -> dict[str, Piece]:
        cut = copied_at(model, {each.module for each in group.cuts})
        if size is not None:
            remove_channels(cut, ranked, size)
        return {name: _narrowed(_layer(cut, name), whole[name]) for name in group.layers}

    by_size = {size: narrowed(size) for size in dict.fromkeys(choice.size for choice in choices)}
    pieces = {
        choice: {
            name: replace(
                piece,
                choice=Choice(precision=choice.precision),
                narrowed=choice != DENSE,
                arithmetic=arithmetics[choice.precision],
            )
            for name, piece in by_size[choice.size].items()
        }
        for choice in choices
    }
    return Part(group.name, pieces, group.layers)


def block_part(
    block: ResidualBlock,
    layers: Mapping[str, nn.Linear | nn.Conv2d],
    shapes: Mapping[str, tuple[int, ...]],
    arithmetics: Arithmetics = ONLY_FP32,
) -> Part:
    """A block that stays or goes, with those of its layers that are among `layers`; they count in any precision."""
    whole = {name: Piece(layers[name], shapes[name]) for name in block.layers if name in layers}
    gone: dict[Choice, dict[str, Piece]] = {replace(REMOVED, precision=precision): {} for precision in arithmetics}
    return Part(block.name, {DENSE: whole, **gone}, tuple(whole))


@torch.no_grad()
def input_shapes(model: nn.Module, layers: Iterable[str], x: Inputs) -> dict[str, tuple[int, ...]]:
    """What each of those layers gets first when `model` runs on `x`."""
    shapes: dict[str, tuple[int, ...]] = {}
    handles = [model.get_submodule(name).register_forward_pre_hook(_recorder(shapes, name)) for name in layers]
    model(*x)
    for handle in handles:
        handle.remove()
    return shapes


def _recorder(shapes: dict[str, tuple[int, ...]], name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
    def record(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        shapes.setdefault(name, tuple(inputs[0].shape))

    return record


def _narrowed(layer: nn.Linear | nn.Conv2d, whole: tuple[int, ...]) -> Piece:
    """A layer that may take fewer channels than the whole one did: nothing else of its input is other."""
    if isinstance(layer, nn.Linear):
        return Piece(layer, (*whole[:-1], layer.in_features))
    return Piece(layer, (*whole[:-3], layer.in_channels, *whole[-2:]))


def _layer(model: nn.Module, name: str) -> nn.Linear | nn.Conv2d:
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv2d)  # as `ChannelGroup.layers` says
    return layer
