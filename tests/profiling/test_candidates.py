"""Which ranks are timed, and what tells two layers apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from toolkit.compression import break_even_rank
from toolkit.profiling.candidates import candidate_ranks, signature
from toolkit.profiling.profile_layers import variants_of


@given(st.integers(1, 600), st.integers(1, 600), st.sampled_from([4, 8, 16]))
def test_candidates_are_few_multiples_below_break_even(m: int, n: int, multiple: int) -> None:
    layer = nn.Linear(n, m, device="meta")
    ranks = candidate_ranks(layer, multiple)
    assert len(ranks) <= 10
    assert list(ranks) == sorted(set(ranks))
    assert all(rank % multiple == 0 and 0 < rank * (m + n) <= m * n for rank in ranks)
    assert bool(ranks) == (break_even_rank(layer) >= multiple)
    if ranks:
        assert ranks[0] == multiple
        assert ranks[-1] > break_even_rank(layer) - multiple


def test_a_layer_too_small_for_one_step_stays_dense() -> None:
    assert candidate_ranks(nn.Conv2d(1, 16, 3), 8) == ()


def test_layers_of_one_shape_share_a_signature() -> None:
    assert signature(nn.Linear(8, 4), (1, 8), 2) == signature(nn.Linear(8, 4), (1, 8), 2)


@pytest.mark.parametrize(
    ("one", "other", "shape"),
    [
        (nn.Linear(8, 4), nn.Linear(8, 4, bias=False), (1, 8)),
        (nn.Linear(8, 4), nn.Linear(8, 5), (1, 8)),
        (nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3, stride=2), (1, 2, 8, 8)),
        (nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3, padding=1), (1, 2, 8, 8)),
        (nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3, dilation=2), (1, 2, 8, 8)),
        (nn.Conv2d(2, 4, (1, 9)), nn.Conv2d(2, 4, (9, 1)), (1, 2, 9, 9)),
        (nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), (1, 2, 8, 8)),
    ],
)
def test_what_moves_the_time_is_in_the_signature(
    one: nn.Linear | nn.Conv2d, other: nn.Linear | nn.Conv2d, shape: tuple[int, ...]
) -> None:
    assert signature(one, shape, None) != signature(other, shape, None)
    assert signature(one, shape, None) != signature(one, shape, 8)
    assert signature(one, shape, None) != signature(one, (2, *shape[1:]), None)


def test_a_shape_that_occurs_twice_is_one_variant() -> None:
    layers = {"a": nn.Linear(32, 32), "b": nn.Linear(32, 32), "c": nn.Linear(32, 16)}
    shapes = dict.fromkeys(layers, (1, 32))
    variants = variants_of(layers, shapes, 8)
    assert [(each.layer.out_features, each.rank) for each in variants.values()] == [
        *((32, rank) for rank in (None, 8)),
        *((16, rank) for rank in (None, 8)),
    ]
