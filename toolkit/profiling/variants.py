"""Variant: one layer under one choice, as it will be deployed."""

from collections.abc import Iterable

import torch
from torch import nn

from toolkit.compression import CompactConv2d, CompactLinear
from toolkit.profiling.pieces import Part, Piece
from toolkit.profiling.signature import signature_of
from toolkit.profiling.time_programs import Timeable
from toolkit.runtimes import Runtime

# By signature: pieces of one signature take the same time.
Variants = dict[str, Piece]


def key_of(piece: Piece) -> str:
    """What names it in a profile."""
    return str(signature_of(piece.layer, piece.input_shape, piece.choice, piece.arithmetic))


def variants_of(parts: Iterable[Part]) -> Variants:
    """Every distinct piece of those parts under all their choices, ready to be exported alone."""
    variants: Variants = {}
    for part in parts:
        for pieces in part.pieces.values():
            for piece in pieces.values():
                variants.setdefault(key_of(piece), piece)
    return variants


def export_variants(runtime: Runtime, variants: Variants) -> dict[str, Timeable]:
    """A program for each, by signature."""
    pieces = list(variants.values())
    modules = [_module(piece) for piece in pieces]
    programs = runtime.export_layers(
        modules, [torch.randn(piece.input_shape) for piece in pieces], [piece.arithmetic for piece in pieces]
    )
    return {
        signature: Timeable(
            program, piece.input_shape, {key: tuple(value.shape) for key, value in module.named_parameters()}
        )
        for signature, piece, program, module in zip(variants, pieces, programs, modules, strict=True)
    }


def _module(piece: Piece) -> nn.Module:
    """The layer as it will be deployed: dense, or folded into two factors. Time does not depend on the weights."""
    layer, rank = piece.layer, piece.choice.size
    if rank is None:
        return layer
    compact = (
        CompactLinear(layer.in_features, layer.out_features, rank)
        if isinstance(layer, nn.Linear)
        else CompactConv2d(layer, rank)
    )
    return compact.fold()
