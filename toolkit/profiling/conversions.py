"""Conversions: what stands between a layer in one arithmetic and its neighbour in another, timed on the board."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.choice import Choice, Precision
from toolkit.compression import Cost, Pair
from toolkit.devices import Agent
from toolkit.profiling.measurement import Measurement
from toolkit.profiling.pieces import Arithmetics
from toolkit.profiling.profile import Profile
from toolkit.profiling.profile_file import save_profile
from toolkit.profiling.steady import time_steadily
from toolkit.profiling.time_programs import Timeable, layer_timing
from toolkit.runtimes import Runtime
from toolkit.runtimes.arithmetic import Arithmetic, number_type

_BATCH = 16


@dataclass(frozen=True)
class Conversion:
    """Of a tensor of that shape (batch dimension first); its text is the key in profiles."""

    shape: tuple[int, ...]
    before: Arithmetic
    after: Arithmetic

    def __str__(self) -> str:
        return f"convert {self.before} to {self.after} on {'x'.join(map(str, self.shape))}"


@dataclass(frozen=True)
class Border:
    """Two layers, of which `after` reads what `before` computed: a tensor of that shape."""

    before: str
    after: str
    shape: tuple[int, ...]


def conversions_of(borders: Iterable[Border], arithmetics: Arithmetics) -> dict[str, Conversion]:
    """Every distinct one that a choice of precisions may bring about, by its text."""
    found = [
        Conversion(border.shape, before, after)
        for border in borders
        for before in arithmetics.values()
        for after in arithmetics.values()
        if number_type(before) != number_type(after)
    ]
    return {str(each): each for each in found}


def profile_conversions(
    agent: Agent,
    runtime: Runtime,
    conversions: Mapping[str, Conversion],
    profile: Profile,
    path: Path,
    *,
    on_note: Callable[[str], None] = lambda text: None,
) -> Profile:
    """The profile with a time for each; what was timed before is not again. Saved after each batch."""
    missing = [key for key in conversions if key not in profile.rows]
    for start in range(0, len(missing), _BATCH):
        batch = {key: _timeable(runtime, conversions[key]) for key in missing[start : start + _BATCH]}
        found = time_steadily(
            agent, runtime, profile.threads, profile.clock, batch, layer_timing(profile.clock), on_note=on_note
        )
        profile = profile.with_rows(found.rows, {}, found.batch)
        save_profile(profile, path)
    return profile


def between(
    borders: Iterable[Border],
    table: Mapping[str, Mapping[Choice, Cost]],
    arithmetics: Arithmetics,
    rows: Mapping[str, Measurement],
    call_ms: float,
) -> Iterator[tuple[Pair, float]]:
    """What a change of precision costs at each border, milliseconds, less `call_ms`: a network is called but once.

    A conversion that was not timed costs nothing: on a board that is not at hand.
    """
    for border in borders:
        for before, first in arithmetics.items():
            for after, second in arithmetics.items():
                row = rows.get(str(Conversion(border.shape, first, second)))
                if before != after and row is not None:
                    pair = Pair(
                        (border.before, border.after),
                        _in_precision(table[border.before], before),
                        _in_precision(table[border.after], after),
                    )
                    yield pair, max(0.0, row.median_ms - call_ms)


def _in_precision(row: Iterable[Choice], precision: Precision) -> frozenset[Choice]:
    return frozenset(choice for choice in row if choice.precision == precision)


def _timeable(runtime: Runtime, conversion: Conversion) -> Timeable:
    program = runtime.export_conversion(conversion.shape, conversion.before, conversion.after)
    return Timeable(program, conversion.shape, {})
