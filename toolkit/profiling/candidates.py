"""Which choices of a layer are worth timing, and how a timed choice is called."""

from torch import nn

from toolkit.compression import break_even_rank, matrix

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


def signature(layer: nn.Linear | nn.Conv2d, input_shape: tuple[int, ...], rank: int | None) -> str:
    """The layer's shape under a choice: two layers of one signature cost the same."""
    m, n = matrix(layer).shape
    choice = "dense" if rank is None else f"rank {rank}"
    shape = "x".join(map(str, input_shape))
    bias = "" if layer.bias is None else " bias"
    if isinstance(layer, nn.Linear):
        return f"linear {n}->{m}{bias} on {shape}: {choice}"
    kernel = "x".join(map(str, layer.kernel_size))
    rest = f"stride {layer.stride} padding {layer.padding} dilation {layer.dilation} {layer.padding_mode}"
    return f"conv2d {kernel} {layer.in_channels}->{layer.out_channels}{bias} {rest} on {shape}: {choice}"
