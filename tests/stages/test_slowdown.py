"""How much less the next model may plan with, and when a smaller one would mend nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.profiling import Accepted, Budget, Limit, Measurement, Refusal
from toolkit.stages.slowdown import share_left

BUDGET = Budget(Limit(10.0, "--latency"), None, None)
OVER = Refusal("latency", "p95 is over")


def accepted(median_ms: float, p95_ms: float, *refusals: Refusal) -> Accepted:
    measured = Measurement(median_ms=median_ms, p95_ms=p95_ms, min_ms=median_ms, runs=9, warmups=1, load_ms=1.0)
    return Accepted(measured, 1, 0.0, 0.0, 1e-3, 1, {}, refusals)


def test_a_slower_board_leaves_as_much_less() -> None:
    """Twice the budget at the median, a tail of 10 %: half, less the tail, less what a budget is aimed below."""
    assert share_left(BUDGET, accepted(20.0, 22.0, OVER), 1.05, "wall") == pytest.approx(0.93 / 2.2)


def test_the_tail_is_no_shorter_than_was_planned_with_and_no_longer_than_a_model_can_have() -> None:
    assert share_left(BUDGET, accepted(10.5, 10.6, OVER), 1.2, "wall") == pytest.approx(0.93 / (1.05 * 1.2))
    assert share_left(BUDGET, accepted(10.5, 50.0, OVER), 1.1, "wall") == pytest.approx(0.93 / (1.05 * 1.3))


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (BUDGET, accepted(8.0, 9.0)),
        (BUDGET, accepted(12.0, 13.0, OVER, Refusal("memory", "too much"))),
        (BUDGET, accepted(8.0, 13.0, OVER)),  # the median is within it, and no model has such a tail
        (replace(BUDGET, keep_accuracy=0.9), accepted(12.0, 13.0, OVER)),
        (replace(BUDGET, latency_ms=None), accepted(12.0, 13.0, Refusal("size", "too big"))),
    ],
)
def test_where_a_smaller_model_would_mend_nothing(budget: Budget, said: Accepted) -> None:
    assert share_left(budget, said, 1.1, "wall") is None


@given(st.floats(0.1, 100), st.floats(1, 5), st.floats(1, 1.3))
def test_the_next_one_is_always_smaller(median_ms: float, tail: float, spread: float) -> None:
    said = accepted(median_ms, median_ms * tail, OVER)
    share = share_left(BUDGET, said, spread, "instructions") if said.measurement.p95_ms > 10.0 else None
    assert share is None or share < 1
