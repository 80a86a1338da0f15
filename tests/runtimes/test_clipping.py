"""Which values count: all of them, all but the rarest, or those within which the least information is lost."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.runtimes.arithmetic import Ranges
from toolkit.runtimes.clipping import extremes, histogram, least_information_lost, limits, wild

RANGES: tuple[Ranges, ...] = ("minmax", "percentile", "entropy")


def read(x: torch.Tensor, ranges: Ranges) -> list[float]:
    """(N, values) -> lowest and highest."""
    within = limits(extremes(x, ranges), ranges)
    if ranges == "entropy":
        within = least_information_lost(histogram(x, within), within)
    return within.tolist()


def test_minmax_is_the_extremes() -> None:
    assert read(torch.tensor([[1.0, -2.0], [7.0, 3.0]]), "minmax") == [-2.0, 7.0]


def test_a_percentile_leaves_out_values_of_each_example_and_then_examples() -> None:
    rows = torch.linspace(0, 1, 20_001).repeat(40, 1)
    rows[3, 5] = 1e6  # one value of 20,001
    rows[7], rows[8] = 1e6, -1e6
    low, high = read(rows, "percentile")
    assert low == pytest.approx(1e-4, rel=0.5)
    assert high == pytest.approx(1 - 1e-4, rel=0.5)


@pytest.mark.parametrize(("examples", "expected"), [(1, 0), (4, 0), (5, 1), (20, 1), (21, 2), (256, 13)])
def test_a_twentieth_may_be_wild_and_one_of_five(examples: int, expected: int) -> None:
    assert wild(examples) == expected


def test_entropy_clips_what_is_rare_and_far_and_nothing_of_what_is_even() -> None:
    generator = torch.Generator().manual_seed(0)
    even = torch.rand(8, 5000, generator=generator)
    assert read(even, "entropy")[1] > 0.95 * read(even, "percentile")[1]
    rare = torch.randn(8, 5000, generator=generator)
    rare[:, :5] = 40.0  # one of a thousand, of all examples: too many for a percentile
    assert read(rare, "percentile")[1] == 40.0
    low, high = read(rare, "entropy")
    assert 3 < high < 20
    assert -6 < low < -3


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=60),
    st.integers(1, 12),
    st.sampled_from(RANGES),
)
def test_limits_are_within_the_extremes_and_in_order(values: list[float], examples: int, ranges: Ranges) -> None:
    rows = torch.tensor(values).repeat(examples, 1)
    low, high = read(rows, ranges)
    assert min(values) <= low <= high <= max(values)


@pytest.mark.parametrize("constant", [0.0, 3.0, -1e6])
@pytest.mark.parametrize("ranges", RANGES)
def test_a_constant_is_its_own_limits(constant: float, ranges: Ranges) -> None:
    assert read(torch.full((6, 50), constant), ranges) == [constant, constant]
