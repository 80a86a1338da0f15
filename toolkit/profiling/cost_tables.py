"""From measurements to the cost table that an allocator sees, and what a process needs in memory."""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from toolkit.choice import DENSE, Choice, Precision
from toolkit.compression import Cost, CostTable, Pair, matrix
from toolkit.errors import BadInput
from toolkit.profiling.activations import activation_bytes
from toolkit.profiling.conversions import Border, between
from toolkit.profiling.inside import inside, shares_inside
from toolkit.profiling.layer_times import LayerTime, layer_time
from toolkit.profiling.pieces import ONLY_FP32, Arithmetics, Part, Piece
from toolkit.profiling.predictor import fit_predictor
from toolkit.profiling.profile import Profile
from toolkit.profiling.signature import Signature, signature_of
from toolkit.profiling.whole_models import WholeModel

# The least certain of them is where a sum comes from.
_SOURCES = ("measured", "interpolated", "predicted", "estimate")

_FLOAT_BYTES = 4
_WEIGHT_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2, "int8": 1}


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
    parts: Mapping[str, Part],
    profile: Profile,
    dense: WholeModel,
    memory: MemoryModel,
    borders: Iterable[Border] = (),
    arithmetics: Arithmetics = ONLY_FP32,
    call_ms: float = 0.0,
    rounded_ms: Mapping[Precision, float] = MappingProxyType({}),
) -> CostTable:
    """What every part costs under every choice; what the dense whole took beyond its layers is the rest.

    Layers that take longer together than the whole, in fp32 or as it was timed in another precision (`rounded_ms`), are
    charged less (`inside`).

    A group of channels costs what the layers that it narrows then take, less what they take whole; a block that is gone
    as much less as its layers take, and a border what turns one arithmetic into the other: both take `call_ms` longer
    alone.

    The rest may be negative: a layer alone pays for a call of its own. Raises BadInput if the profile, and what can be
    predicted from it, do not say what a layer takes.
    """
    pieces = [piece for part in parts.values() for row in part.pieces.values() for piece in row.values()]
    complete = all(str(_signature(each)) in profile.rows for each in pieces)
    predictor = None if complete else fit_predictor(profile.rows)

    @functools.cache  # pieces of one signature are many, and each prediction takes milliseconds
    def time_by(signature: Signature) -> LayerTime:
        time = layer_time(profile.rows, predictor, signature)
        if time is None:
            raise BadInput(
                f"says nothing of `{signature}`",
                where=f"the profile of {profile.family} for {profile.runtime}",
                next="Measure it: `deploy profile` with this --target, --model and --task.",
            )
        return time

    shares = shares_inside(
        [
            {
                each.precision: time_by(_signature(row[name])).ms
                for each, row in part.pieces.items()
                if each.form == "dense"
            }
            for name, part in parts.items()
            if not part.decides
        ],
        {"fp32": dense.measurement.median_ms, **rounded_ms},
        call_ms,
    )

    def time_of(piece: Piece) -> LayerTime:
        return inside(time_by(_signature(piece)), shares.get(piece.choice.precision, 1.0), call_ms)

    table: dict[str, dict[Choice, Cost]] = {}
    layers_ms, layers_bytes = 0.0, 0
    for name, part in parts.items():
        if part.decides:
            table[name] = {
                choice: _difference(narrowed, _in(part.pieces[DENSE], choice.precision, arithmetics), time_of, call_ms)
                for choice, narrowed in part.pieces.items()
            }
        else:
            table[name] = {choice: _own(row[name], time_of) for choice, row in part.pieces.items()}
            layers_ms += table[name][DENSE].latency_ms
            layers_bytes += table[name][DENSE].weight_bytes
    return CostTable(
        table,
        rest_latency_ms=dense.measurement.median_ms - layers_ms,
        rest_bytes=max(0, dense.size_bytes - layers_bytes),
        base_peak_bytes=memory.base_bytes,
        peak_per_byte=memory.per_byte,
        conflicts=tuple(_conflicts(table, parts)),
        between=tuple(between(borders, table, arithmetics, profile.rows, call_ms)),
    )


def _conflicts(table: Mapping[str, Mapping[Choice, Cost]], parts: Mapping[str, Part]) -> Iterator[Pair]:
    """A layer that a group narrows stays dense, and in the precision that the group was timed in; and as for blocks.

    Of a block that is gone no channels can be: a group that it has layers of stays whole.
    """
    for name, part in parts.items():
        cut = [choice for choice in table[name] if choice != DENSE]
        for layer in part.decides:
            for precision in dict.fromkeys(choice.precision for choice in cut) if layer in table else ():
                deciding = frozenset(choice for choice in cut if choice.precision == precision)
                yield Pair((name, layer), deciding, frozenset(table[layer]) - {Choice(precision=precision)})
        gone = frozenset(choice for choice in cut if choice.form == "removed")
        for other, row in table.items() if gone else ():
            if other != name and not set(part.decides).isdisjoint(parts[other].decides):
                yield Pair((name, other), gone, frozenset(row) - {DENSE})


def _own(piece: Piece, time_of: Callable[[Piece], LayerTime]) -> Cost:
    """What a layer costs by itself."""
    m, n = matrix(piece.layer).shape
    rank = piece.choice.size
    each = _WEIGHT_BYTES[piece.choice.precision]
    # A compact layer stores U in the program, V and the core beside it, in fp32: they fold when it is loaded.
    weights = m * n * each if rank is None else rank * (m * each + (n + rank) * _FLOAT_BYTES)
    bias = 0 if piece.layer.bias is None else _FLOAT_BYTES * m
    time = time_of(piece)
    held = activation_bytes(piece.layer, piece.input_shape, piece.choice)
    return Cost(time.ms, weights + bias, held, time.std_ms, time.source)


def _difference(
    narrowed: Mapping[str, Piece], whole: Mapping[str, Piece], time_of: Callable[[Piece], LayerTime], call_ms: float
) -> Cost:
    """What those layers cost beyond what they cost whole; a layer that stays as it is makes no difference."""
    same = {name for name, piece in narrowed.items() if _signature(piece) == _signature(whole[name])}
    added = [(time_of(piece), _bytes(piece)) for name, piece in narrowed.items() if name not in same]
    saved = [(time_of(piece), _bytes(piece)) for name, piece in whole.items() if name not in same]
    times = [time for time, _ in (*added, *saved)]
    calls_ms = call_ms * (len(saved) - len(added))  # where a layer goes, no call goes with it
    return Cost(
        latency_ms=sum(time.ms for time, _ in added) - sum(time.ms for time, _ in saved) + calls_ms,
        weight_bytes=sum(size for _, size in added) - sum(size for _, size in saved),
        latency_std_ms=math.hypot(*(time.std_ms for time in times)),
        source=max((time.source for time in times), key=_SOURCES.index, default="measured"),
    )


def _in(whole: Mapping[str, Piece], precision: Precision, arithmetics: Arithmetics) -> dict[str, Piece]:
    """Those layers whole, and in that precision."""
    dense, arithmetic = Choice(precision=precision), arithmetics[precision]
    return {name: replace(piece, choice=dense, arithmetic=arithmetic) for name, piece in whole.items()}


def _bytes(piece: Piece) -> int:
    weights = piece.layer.weight.numel() * _WEIGHT_BYTES[piece.choice.precision]
    return weights + (0 if piece.layer.bias is None else _FLOAT_BYTES * piece.layer.bias.numel())


def _signature(piece: Piece) -> Signature:
    return signature_of(piece.layer, piece.input_shape, piece.choice, piece.arithmetic)
