"""Which choices of a layer are worth timing."""

from torch import nn

from toolkit.choice import DENSE, Choice, keep, rank
from toolkit.compression import break_even_rank

_MOST_RANKS = 10
# Of a group of channels: fewer, as the true loss of each is measured too; and shares, where multiples are too few.
_MOST_COUNTS = 7
_SHARES = (0.25, 0.5, 0.75)


def layer_choices(layer: nn.Linear | nn.Conv2d, multiple: int) -> tuple[Choice, ...]:
    """Dense, and ranks to consider: multiples of the SIMD width below break-even, at most ten, spread evenly.

    Ranks between two steps cost what the next step costs; a layer too small for one step stays dense.
    """
    return DENSE, *map(rank, _spread(range(multiple, break_even_rank(layer) + 1, multiple), _MOST_RANKS))


def group_choices(channels: int, multiple: int) -> tuple[Choice, ...]:
    """All channels of a group, and how many to keep: multiples of the SIMD width, at most seven, spread evenly.

    A quarter, a half and three quarters of a group with fewer than three such multiples.
    """
    steps = range(multiple, channels, multiple)
    if len(steps) < len(_SHARES):
        return DENSE, *map(keep, sorted({max(1, int(share * channels)) for share in _SHARES}))
    return DENSE, *map(keep, _spread(steps, _MOST_COUNTS))


def _spread(steps: range, most: int) -> tuple[int, ...]:
    if len(steps) <= most:
        return tuple(steps)
    return tuple(sorted({steps[round(index * (len(steps) - 1) / (most - 1))] for index in range(most)}))
