"""Where a budget comes from: what was asked for stands, a default follows what the dense model takes."""

import pytest
from boards import board_at
from hypothesis import given
from hypothesis import strategies as st

from toolkit.devices import DeviceFacts
from toolkit.profiling import MOST_SPREAD, Limit, Measurement, derive_budget, with_defaults_of

FACTS = DeviceFacts("aarch64", None, 4, 1_000_000_000, None, None, "os", "6", None, "3.11.2", None, {}, {})
DENSE = Measurement(median_ms=10.0, p95_ms=12.0, min_ms=9.0, runs=100, warmups=5, load_ms=1.0)
BOARD = board_at({"transport": "local"}, "t", budget={"dense_latency_fraction": 0.6})


def test_a_speedup_grants_the_dense_models_own_tail() -> None:
    found = derive_budget(BOARD, FACTS, DENSE, speedup=1.5)
    assert found.latency_ms == Limit(12.0 / 1.5, "--speedup 1.5")  # a p95 of 12 ms
    disturbed = DENSE.model_copy(update={"p95_ms": 50.0})
    found = derive_budget(BOARD, FACTS, disturbed, speedup=2)
    assert found.latency_ms is not None
    assert found.latency_ms.value == pytest.approx(1.3 * 10.0 / 2)  # at most `MOST_SPREAD` above a median of 10 ms


@given(st.floats(0.01, 1e3), st.floats(1, 10), st.floats(1, 10))
def test_a_model_with_the_dense_models_tail_keeps_it_when_its_median_is_as_many_times_shorter(
    median_ms: float, tail: float, speedup: float
) -> None:
    dense = DENSE.model_copy(update={"median_ms": median_ms, "p95_ms": min(tail, MOST_SPREAD) * median_ms})
    found = derive_budget(BOARD, FACTS, dense, speedup=speedup)
    assert found.latency_ms is not None
    assert found.latency_ms.value == pytest.approx(dense.p95_ms / dense.median_ms * median_ms / speedup)


def test_a_speedup_follows_what_the_dense_model_takes_now_and_is_no_default() -> None:
    slower = DENSE.model_copy(update={"p95_ms": 13.0})
    now = with_defaults_of(derive_budget(BOARD, FACTS, DENSE, speedup=2), BOARD, slower)
    assert now.latency_ms == Limit(6.5, "--speedup 2", is_default=False)


def test_a_default_follows_what_the_dense_model_takes_now_and_what_was_asked_for_does_not() -> None:
    slower = DENSE.model_copy(update={"p95_ms": 13.0})
    before = derive_budget(BOARD, FACTS, DENSE)
    assert with_defaults_of(before, BOARD, slower) == derive_budget(BOARD, FACTS, slower) != before
    asked = derive_budget(BOARD, FACTS, DENSE, latency_ms=5.0)
    assert with_defaults_of(asked, BOARD, slower) == asked
