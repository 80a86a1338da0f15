"""How far outputs are apart does not depend on their unit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toolkit.devices.agent.difference import difference

OUTPUTS = arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32))
POWERS = st.integers(-30, 30).map(lambda power: np.float32(2.0**power))


@given(OUTPUTS, OUTPUTS, POWERS)
def test_the_share_is_the_same_in_every_unit(got: np.ndarray, expected: np.ndarray, unit: np.float32) -> None:
    """Units are powers of two, by which float32 multiplies exactly; what is too small for that is rounded off."""
    got, expected = np.round(got, 3).astype(np.float32), np.round(expected, 3).astype(np.float32)
    absolute, share = difference(got, expected)
    assert difference(got * unit, expected * unit) == (absolute * float(unit), share)


@given(OUTPUTS, OUTPUTS)
def test_the_share_is_of_the_largest_expected_value(got: np.ndarray, expected: np.ndarray) -> None:
    absolute, share = difference(got, expected)
    assert absolute == np.abs(got.astype(float) - expected.astype(float)).max()
    size = np.abs(expected).max()
    if size > 1e-6:  # apart / size is no number of float64 beyond
        assert share * float(size) == pytest.approx(absolute)
    assert (share == 0.0) == (absolute == 0.0)


@given(OUTPUTS)
def test_equal_outputs_are_not_apart_even_if_all_are_zero(outputs: np.ndarray) -> None:
    assert difference(outputs, outputs) == (0.0, 0.0)
    assert difference(0 * outputs, 0 * outputs) == (0.0, 0.0)


def test_whatever_comes_where_nothing_is_expected_is_apart_infinitely() -> None:
    assert difference(np.full((1, 2), 1e-9), np.zeros((1, 2))) == (1e-9, np.inf)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_apart_infinitely(value: float) -> None:
    wrong, right = np.array([[1.0, value]]), np.array([[1.0, 2.0]])
    assert difference(wrong, right) == difference(right, wrong) == (np.inf, np.inf)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2\) where \(1, 3\) is expected"):
        difference(np.zeros((1, 2)), np.zeros((1, 3)))
