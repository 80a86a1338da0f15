"""Which ranks are timed."""

from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from toolkit.choice import DENSE, Choice, keep, rank
from toolkit.compression import break_even_rank
from toolkit.profiling import layer_part
from toolkit.profiling.candidates import group_choices, layer_choices
from toolkit.profiling.variants import variants_of


@given(st.integers(1, 600), st.integers(1, 600), st.sampled_from([4, 8, 16]))
def test_candidates_are_few_multiples_below_break_even(m: int, n: int, multiple: int) -> None:
    layer = nn.Linear(n, m, device="meta")
    dense, *choices = layer_choices(layer, multiple)
    ranks = [choice.size or 0 for choice in choices]
    assert dense == DENSE
    assert choices == list(map(rank, ranks))
    assert len(ranks) <= 10
    assert list(ranks) == sorted(set(ranks))
    assert all(rank % multiple == 0 and 0 < rank * (m + n) <= m * n for rank in ranks)
    assert bool(ranks) == (break_even_rank(layer) >= multiple)
    if ranks:
        assert ranks[0] == multiple
        assert ranks[-1] > break_even_rank(layer) - multiple


def test_a_layer_too_small_for_one_step_stays_dense() -> None:
    assert layer_choices(nn.Conv2d(1, 16, 3), 8) == (DENSE,)


@given(st.integers(2, 2000), st.sampled_from([4, 8, 16]))
def test_of_channels_few_multiples_are_kept_or_shares_of_a_small_group(channels: int, multiple: int) -> None:
    whole, *choices = group_choices(channels, multiple)
    counts = [choice.size or 0 for choice in choices]
    assert whole == DENSE
    assert choices == list(map(keep, counts))
    assert 1 <= len(counts) <= 7
    assert list(counts) == sorted(set(counts))
    assert all(0 < count < channels for count in counts)
    if channels > 3 * multiple:
        assert all(count % multiple == 0 for count in counts)
        assert counts[0] == multiple
        assert counts[-1] >= channels - multiple
    else:
        assert {channels // 4 or 1, channels // 2} <= set(counts)


def test_each_precision_offers_the_same_forms() -> None:
    layer = nn.Linear(32, 32)
    offered = layer_choices(layer, 8, ("fp32", "int8"))
    assert offered == (DENSE, rank(8), Choice(precision="int8"), rank(8, "int8"))
    assert group_choices(16, 8, ("fp32", "int8"))[0] == DENSE
    assert {str(choice) for choice in group_choices(64, 16, ("int8",))} == {
        "dense",
        *(f"keep {n} int8" for n in (16, 32, 48)),
    }


def test_a_shape_that_occurs_twice_is_one_variant() -> None:
    layers = {"a": nn.Linear(32, 32), "b": nn.Linear(32, 32), "c": nn.Linear(32, 16)}
    variants = variants_of([layer_part(name, layer, (1, 32), 8) for name, layer in layers.items()])
    assert [(each.layer.out_features, each.choice) for each in variants.values()] == [
        *((32, choice) for choice in (DENSE, rank(8))),
        *((16, choice) for choice in (DENSE, rank(8))),
    ]
