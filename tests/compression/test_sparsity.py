"""N:M masks keep the most important N of every M, as many in each row as hardware counts on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.compression import sparse_mask


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.sampled_from([(1, 2), (2, 4), (1, 4), (4, 4)]), st.integers(0, 99))
def test_of_every_group_the_most_important_are_kept(m: int, groups: int, pattern: tuple[int, int], seed: int) -> None:
    keep, of = pattern
    scores = torch.rand(m, groups * of, generator=torch.Generator().manual_seed(seed)).mul(8).floor()  # with ties
    mask = sparse_mask(scores, keep, of).reshape(m, groups, of)
    assert (mask.sum(-1) == keep).all()
    by_group = scores.reshape(m, groups, of)
    lowest_kept = by_group.masked_fill(~mask, 99).amin(-1)
    highest_dropped = by_group.masked_fill(mask, -1).amax(-1)
    assert (lowest_kept >= highest_dropped).all()


def test_the_pattern_of_a_known_row() -> None:
    row = torch.tensor([[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]])
    assert sparse_mask(row).tolist() == [[True, False, True, False, False, True, False, True]]


@pytest.mark.parametrize(("n", "keep", "of"), [(6, 2, 4), (8, 0, 4), (8, 5, 4)])
def test_what_has_no_such_pattern_is_refused(n: int, keep: int, of: int) -> None:
    with pytest.raises(ValueError, match=f"{n} inputs have no {keep}:{of} pattern"):
        sparse_mask(torch.ones(2, n), keep, of)
