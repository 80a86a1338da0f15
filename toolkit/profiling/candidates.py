"""Which choices of a layer are worth timing."""

from torch import nn

from toolkit.compression import break_even_rank

_MOST_RANKS = 10
# Of a group of channels: fewer, as the true loss of each is measured too; and shares, where multiples are too few.
_MOST_COUNTS = 7
_SHARES = (0.25, 0.5, 0.75)


def candidate_ranks(layer: nn.Linear | nn.Conv2d, multiple: int) -> tuple[int, ...]:
    """Ranks to consider, multiples of the SIMD width below break-even, at most ten, spread evenly.

    Ranks between two steps cost what the next step costs; a layer too small for one step stays dense.
    """
    return _spread(range(multiple, break_even_rank(layer) + 1, multiple), _MOST_RANKS)


def candidate_channels(channels: int, multiple: int) -> tuple[int, ...]:
    """How many channels of a group to consider keeping: multiples of the SIMD width, at most seven, spread evenly.

    A quarter, a half and three quarters of a group with fewer than three such multiples.
    """
    steps = range(multiple, channels, multiple)
    if len(steps) < len(_SHARES):
        return tuple(sorted({max(1, int(share * channels)) for share in _SHARES}))
    return _spread(steps, _MOST_COUNTS)


def _spread(steps: range, most: int) -> tuple[int, ...]:
    if len(steps) <= most:
        return tuple(steps)
    return tuple(sorted({steps[round(index * (len(steps) - 1) / (most - 1))] for index in range(most)}))
