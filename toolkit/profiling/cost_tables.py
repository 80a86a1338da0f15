"""From measurements to the cost table that an allocator sees, and what a process needs in memory."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from toolkit.compression import Cost, CostTable, matrix
from toolkit.errors import BadInput
from toolkit.profiling.activations import activation_bytes
from toolkit.profiling.candidates import candidate_ranks
from toolkit.profiling.layer_times import LayerTime, layer_time
from toolkit.profiling.pieces import Piece, Pieces
from toolkit.profiling.predictor import fit_predictor
from toolkit.profiling.profile import Profile
from toolkit.profiling.signature import Signature, signature_of
from toolkit.profiling.whole_models import WholeModel

# The least certain of them is where a sum comes from.
_SOURCES = ("measured", "interpolated", "predicted", "estimate")


@dataclass(frozen=True)
class MemoryModel:
    """Peak bytes of a serving process besides activations: a line through a minute program and the dense model."""

    base_bytes: float
    per_byte: float


def memory_model(minute: WholeModel, dense: WholeModel, activation_bytes: int) -> MemoryModel:
    """The line through both; at least one byte a byte of weights. `activation_bytes`: what the dense layers hold."""
    slope = (dense.peak_bytes - activation_bytes - minute.peak_bytes) / max(1, dense.size_bytes - minute.size_bytes)
    slope = max(1.0, slope)
    return MemoryModel(minute.peak_bytes - slope * minute.size_bytes, slope)


def cost_table(
    layers: dict[str, nn.Linear | nn.Conv2d],
    input_shapes: dict[str, tuple[int, ...]],
    multiple: int,
    profile: Profile,
    dense: WholeModel,
    memory: MemoryModel,
    groups: Mapping[str, Pieces] | None = None,
) -> CostTable:
    """What every layer costs under every choice; what the dense whole took beyond its layers is the rest.

    A group of channels costs what the layers that it narrows then take, less what they take whole.

    The rest may be negative: a layer alone pays for a call of its own. Raises BadInput if the profile, and what can be
    predicted from it, do not say what a layer takes.
    """
    chosen = {
        name: {
            rank: signature_of(layer, input_shapes[name], rank) for rank in (None, *candidate_ranks(layer, multiple))
        }
        for name, layer in layers.items()
    }
    groups = groups or {}
    narrowed = [_signature(piece) for pieces in groups.values() for cut in pieces.values() for piece in cut.values()]
    wanted = [*narrowed, *(each for row in chosen.values() for each in row.values())]
    complete = all(str(each) in profile.rows for each in wanted)
    predictor = None if complete else fit_predictor(profile.rows)

    def time_of(signature: Signature) -> LayerTime:
        time = layer_time(profile.rows, predictor, signature)
        if time is None:
            raise BadInput(
                f"says nothing of `{signature}`",
                where=f"the profile of {profile.family} for {profile.runtime}",
                next="Measure it: `deploy profile` with this --target, --model and --task.",
            )
        return time

    table: dict[str, dict[int | None, Cost]] = {}
    for name, layer in layers.items():
        m, n = matrix(layer).shape
        bias = 0 if layer.bias is None else 4 * m
        row: dict[int | None, Cost] = {}
        for rank, signature in chosen[name].items():
            time = time_of(signature)
            # A compact layer stores U, V and the core; the core folds away only when it is loaded.
            weights = m * n if rank is None else rank * (m + n + rank)
            held = activation_bytes(layer, input_shapes[name], rank)
            row[rank] = Cost(time.ms, 4 * weights + bias, held, time.std_ms, time.source)
        table[name] = row
    dense_ms = sum(row[None].latency_ms for row in table.values())
    dense_bytes = sum(row[None].weight_bytes for row in table.values())
    for name, pieces in groups.items():
        table[name] = {kept: _difference(narrow, pieces[None], time_of) for kept, narrow in pieces.items()}
    return CostTable(
        table,
        rest_latency_ms=dense.measurement.median_ms - dense_ms,
        rest_bytes=max(0, dense.size_bytes - dense_bytes),
        base_peak_bytes=memory.base_bytes,
        peak_per_byte=memory.per_byte,
        excludes={name: tuple(each for each in pieces[None] if each in layers) for name, pieces in groups.items()},
    )


def _difference(
    narrow: Mapping[str, Piece], whole: Mapping[str, Piece], time_of: Callable[[Signature], LayerTime]
) -> Cost:
    """What those layers cost beyond what they cost whole; a layer that stays as it is makes no difference."""
    pairs = [
        (_signature(narrow[name]), _signature(piece), narrow[name].layer, piece.layer) for name, piece in whole.items()
    ]
    changed = [(time_of(now), time_of(before)) for now, before, _, _ in pairs if now != before]
    times = [time for pair in changed for time in pair]
    return Cost(
        latency_ms=sum(now.ms - before.ms for now, before in changed),
        weight_bytes=sum(_bytes(now) - _bytes(before) for _, _, now, before in pairs),
        latency_std_ms=math.hypot(*(time.std_ms for time in times)),
        source=max((time.source for time in times), key=_SOURCES.index, default="measured"),
    )


def _bytes(layer: nn.Linear | nn.Conv2d) -> int:
    return 4 * sum(value.numel() for value in layer.parameters())


def _signature(piece: Piece) -> Signature:
    return signature_of(piece.layer, piece.input_shape, None)
