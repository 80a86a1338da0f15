"""Time each distinct layer shape of a model, dense and at each candidate rank, in the runtime to be deployed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from toolkit.compression import CompactConv2d, CompactLinear
from toolkit.devices import Agent
from toolkit.profiling.candidates import candidate_ranks
from toolkit.profiling.profile import Profile, save_profile
from toolkit.profiling.signature import signature_of
from toolkit.profiling.time_programs import Timeable, time_programs
from toolkit.runtimes import Runtime

_BATCH = 16


@dataclass(frozen=True)
class Variant:
    """One layer under one choice, ready to be exported alone."""

    signature: str
    layer: nn.Linear | nn.Conv2d
    input_shape: tuple[int, ...]
    rank: int | None


def variants_of(
    layers: dict[str, nn.Linear | nn.Conv2d], input_shapes: dict[str, tuple[int, ...]], multiple: int
) -> dict[str, Variant]:
    """Every distinct choice by signature."""
    variants: dict[str, Variant] = {}
    for name, layer in layers.items():
        for rank in (None, *candidate_ranks(layer, multiple)):
            key = str(signature_of(layer, input_shapes[name], rank))
            variants.setdefault(key, Variant(key, layer, input_shapes[name], rank))
    return variants


def profile_layers(
    agent: Agent,
    runtime: Runtime,
    variants: dict[str, Variant],
    profile: Profile,
    path: Path,
    on_progress: Callable[[int, int], None],
) -> Profile:
    """The profile with every variant in it; only those not yet measured are. Saved after each batch."""
    missing = [each for key, each in variants.items() if key not in profile.rows]
    done = 0
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        modules = [_module(variant) for variant in batch]
        programs = runtime.export_layers(modules, [torch.randn(variant.input_shape) for variant in batch])
        timeables = {
            variant.signature: Timeable(
                program, variant.input_shape, {key: tuple(value.shape) for key, value in module.named_parameters()}
            )
            for variant, program, module in zip(batch, programs, modules, strict=True)
        }

        def on_row(_: str) -> None:
            nonlocal done
            done += 1
            on_progress(done, len(missing))

        timed = time_programs(agent, runtime, profile.threads, timeables, on_row)
        profile = profile.with_rows(timed.rows, {})
        save_profile(profile, path)
    return profile


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
