"""Which choices of a layer are worth timing."""

from collections.abc import Sequence

from torch import nn

from toolkit.choice import DENSE, Choice, Precision, keep, rank
from toolkit.compression import break_even_rank

_MOST_RANKS = 10
# Of a group of channels: fewer, as the true loss of each is measured too; and shares, where multiples are too few.
_MOST_COUNTS = 7
_SHARES = (0.25, 0.5, 0.75)


def layer_choices(
    layer: nn.Linear | nn.Conv2d, multiple: int, precisions: Sequence[Precision] = ("fp32",)
) -> tuple[Choice, ...]:
    """Dense, and ranks to consider, in each precision.

    Ranks are multiples of the SIMD width below break-even, at most ten, spread evenly: those between two steps cost
    what the next step costs. A layer too small for one step stays dense.
    """
    sizes = _spread(range(multiple, break_even_rank(layer) + 1, multiple), _MOST_RANKS)
    return tuple(
        choice
        for precision in precisions
        for choice in (Choice(precision=precision), *(rank(size, precision) for size in sizes))
    )


def group_choices(channels: int, multiple: int, precisions: Sequence[Precision] = ("fp32",)) -> tuple[Choice, ...]:
    """All channels of a group, and how many to keep in each precision.

    Counts are multiples of the SIMD width, at most seven, spread evenly; of a group with fewer than three of them, a
    quarter, a half and three quarters.
    """
    steps = range(multiple, channels, multiple)
    if len(steps) < len(_SHARES):
        counts = tuple(sorted({max(1, int(share * channels)) for share in _SHARES}))
    else:
        counts = _spread(steps, _MOST_COUNTS)
    return DENSE, *(keep(count, precision) for precision in precisions for count in counts)


def _spread(steps: range, most: int) -> tuple[int, ...]:
    if len(steps) <= most:
        return tuple(steps)
    return tuple(sorted({steps[round(index * (len(steps) - 1) / (most - 1))] for index in range(most)}))
