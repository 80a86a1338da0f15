"""What layers take inside a network: never longer together than all of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.profiling.inside import inside, shares_inside
from toolkit.profiling.layer_times import LayerTime

MS = st.floats(0.01, 100)


def test_layers_that_fit_into_the_whole_are_charged_what_they_take_alone():
    assert shares_inside([{"fp32": 2.0}, {"fp32": 3.0}], {"fp32": 5.0}, 0.0) == {"fp32": 1.0}


def test_layers_that_take_longer_alone_are_charged_less_all_alike():
    assert shares_inside([{"fp32": 4.0}, {"fp32": 6.0}], {"fp32": 5.0}, 0.0) == {"fp32": 0.5}


def test_calls_of_their_own_are_no_reason_to_charge_less():
    assert shares_inside([{"fp32": 2.0}, {"fp32": 3.0}], {"fp32": 4.0}, 1.0) == {"fp32": 1.0}


def test_a_layer_that_has_no_int8_counts_as_it_is_in_the_whole():
    alone = [{"fp32": 4.0, "int8": 2.0}, {"fp32": 6.0}]
    # Of 5 ms in fp32 each takes half; of 4 ms in int8 the second takes 3, and what is left is half of 2.
    assert shares_inside(alone, {"fp32": 5.0, "int8": 4.0}, 0.0) == pytest.approx({"fp32": 0.5, "int8": 0.5})


@given(st.lists(st.tuples(MS, MS), min_size=1), MS, MS)
def test_layers_never_take_longer_together_than_the_whole_by_more_than_what_is_left_of_each(layers, fp32_ms, int8_ms):
    alone = [{"fp32": fp32, "int8": int8} for fp32, int8 in layers]
    shares = shares_inside(alone, {"fp32": fp32_ms, "int8": int8_ms}, 0.0)
    for precision, whole_ms in (("fp32", fp32_ms), ("int8", int8_ms)):
        together = sum(layer[precision] for layer in alone)
        assert 0 < shares[precision] <= 1
        assert shares[precision] * together <= max(whole_ms, 0.1 * together) * (1 + 1e-9)


def test_of_a_layer_the_call_stays():
    assert inside(LayerTime(3.0, 0.5, "predicted"), 0.5, 1.0) == LayerTime(2.0, 0.25, "predicted")
    assert inside(LayerTime(3.0, 0.5, "predicted"), 1.0, 1.0) == LayerTime(3.0, 0.5, "predicted")
