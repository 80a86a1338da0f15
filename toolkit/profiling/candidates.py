"""Which choices of a layer are worth timing."""

from torch import nn

from toolkit.compression import break_even_rank

_MOST_RANKS = 10


def candidate_ranks(layer: nn.Linear | nn.Conv2d, multiple: int) -> tuple[int, ...]:
    """Ranks to consider, multiples of the SIMD width below break-even, at most ten, spread evenly.

    Ranks between two steps cost what the next step costs; a layer too small for one step stays dense.
    """
    steps = list(range(multiple, break_even_rank(layer) + 1, multiple))
    if len(steps) <= _MOST_RANKS:
        return tuple(steps)
    last = len(steps) - 1
    return tuple(sorted({steps[round(index * last / (_MOST_RANKS - 1))] for index in range(_MOST_RANKS)}))
