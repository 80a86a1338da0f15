"""Choices by their sizes, as tests write them: None is dense."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from toolkit.choice import DENSE, Choice, Selection, rank
from toolkit.compression import GainCurve

Value = TypeVar("Value")


def by_size(values: Mapping[int | None, Value], form: Callable[[int], Choice] = rank) -> dict[Choice, Value]:
    """The same values by choice."""
    return {DENSE if size is None else form(size): value for size, value in values.items()}


def ranks(sizes: Mapping[str, int | None]) -> Selection:
    """Those layers at those ranks."""
    return Selection({name: DENSE if size is None else rank(size) for name, size in sizes.items()})


def curve(
    part: str,
    by_rank: Mapping[int, float],
    dense: float,
    energy: Mapping[int, float] | None = None,
    form: Callable[[int], Choice] = rank,
) -> GainCurve:
    """The gains of those ranks."""
    energies = {form(size): value for size, value in (energy or {}).items()}
    return GainCurve(part, {form(size): value for size, value in by_rank.items()}, dense, energies)
