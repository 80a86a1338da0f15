"""Where a budget comes from: what was asked for stands, a default follows what the dense model takes."""

from boards import board_at

from toolkit.devices import DeviceFacts
from toolkit.profiling import Measurement, derive_budget, with_defaults_of

FACTS = DeviceFacts("aarch64", None, 4, 1_000_000_000, None, None, "os", "6", None, "3.11.2", None, {}, {})
DENSE = Measurement(median_ms=10.0, p95_ms=12.0, min_ms=9.0, runs=100, warmups=5, load_ms=1.0)
BOARD = board_at({"transport": "local"}, "t", budget={"dense_latency_fraction": 0.6})


def test_a_default_follows_what_the_dense_model_takes_now_and_what_was_asked_for_does_not() -> None:
    slower = DENSE.model_copy(update={"p95_ms": 13.0})
    before = derive_budget(BOARD, FACTS, DENSE)
    assert with_defaults_of(before, BOARD, slower) == derive_budget(BOARD, FACTS, slower) != before
    asked = derive_budget(BOARD, FACTS, DENSE, latency_ms=5.0)
    assert with_defaults_of(asked, BOARD, slower) == asked
