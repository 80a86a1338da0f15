"""The allocators by name."""

from functools import partial

from toolkit.compression.allocation import Allocator
from toolkit.compression.baselines import allocate_magnitude, allocate_random, allocate_uniform
from toolkit.compression.exact import allocate_exact
from toolkit.compression.greedy import allocate_greedy

ALLOCATORS: dict[str, Allocator] = {
    "exact": allocate_exact,
    "greedy": allocate_greedy,
    "uniform": allocate_uniform,
    "magnitude": allocate_magnitude,
    "random": allocate_random,
}


def allocator_named(name: str, seed: int) -> Allocator:
    """The allocator of that name; one that draws, with that seed."""
    return partial(allocate_random, seed=seed) if name == "random" else ALLOCATORS[name]
