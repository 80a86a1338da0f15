"""Variant: one layer under one choice, as it will be deployed."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from toolkit.compression import CompactConv2d, CompactLinear
from toolkit.profiling.candidates import candidate_ranks
from toolkit.profiling.pieces import Pieces
from toolkit.profiling.signature import signature_of
from toolkit.profiling.time_programs import Timeable
from toolkit.runtimes import Runtime


@dataclass(frozen=True)
class Variant:
    """One layer under one choice, ready to be exported alone.

    `narrowed`: only a network that lost channels has it.
    """

    signature: str
    layer: nn.Linear | nn.Conv2d
    input_shape: tuple[int, ...]
    rank: int | None
    narrowed: bool = False


def variants_of(
    layers: dict[str, nn.Linear | nn.Conv2d],
    input_shapes: dict[str, tuple[int, ...]],
    multiple: int,
    groups: Iterable[Pieces] = (),
) -> dict[str, Variant]:
    """Every distinct choice by signature: of each layer, and what each group of channels makes of the layers in it."""
    variants: dict[str, Variant] = {}
    for name, layer in layers.items():
        for rank in (None, *candidate_ranks(layer, multiple)):
            key = str(signature_of(layer, input_shapes[name], rank))
            variants.setdefault(key, Variant(key, layer, input_shapes[name], rank))
    for pieces in groups:
        for kept, narrowed in pieces.items():
            for piece in narrowed.values():
                key = str(signature_of(piece.layer, piece.input_shape, None))
                variants.setdefault(key, Variant(key, piece.layer, piece.input_shape, None, kept is not None))
    return variants


def export_variants(runtime: Runtime, variants: list[Variant]) -> dict[str, Timeable]:
    """A program for each, by signature."""
    modules = [_module(variant) for variant in variants]
    programs = runtime.export_layers(modules, [torch.randn(variant.input_shape) for variant in variants])
    return {
        variant.signature: Timeable(
            program, variant.input_shape, {key: tuple(value.shape) for key, value in module.named_parameters()}
        )
        for variant, program, module in zip(variants, programs, modules, strict=True)
    }


def _module(variant: Variant) -> nn.Module:
    """The layer as it will be deployed: dense, or folded into two factors. Time does not depend on the weights."""
    if variant.rank is None:
        return variant.layer
    layer = variant.layer
    compact = (
        CompactLinear(layer.in_features, layer.out_features, variant.rank)
        if isinstance(layer, nn.Linear)
        else CompactConv2d(layer, variant.rank)
    )
    return compact.fold()
