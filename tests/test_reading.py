"""Sizes, rates and numbers survive being written, and nonsense is refused with an example."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import BadInput
from toolkit.reading import RATES_HZ, parse_image_size, parse_numbers, parse_sample_rate


def test_a_size_is_one_side_or_height_and_width() -> None:
    assert parse_image_size("224") == (224, 224)
    assert parse_image_size("120x160") == (120, 160)
    assert parse_image_size("1X4096") == (1, 4096)


@pytest.mark.parametrize("text", ["", "0", "x", "10x", "10x0", "4097", "1x2x3", "-5", "1.5", "²", "10 x 10"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="224, or 120x160"):
        parse_image_size(text)


def test_a_rate_is_in_hertz() -> None:
    assert parse_sample_rate("16000") == 16_000
    for text in ("", "16kHz", "99", "384001", "-8000", "8000.0", "nan"):
        with pytest.raises(BadInput, match="in hertz, 100 to 384000"):
            parse_sample_rate(text)


@given(st.text(max_size=12))
def test_any_text_is_a_value_or_bad_input(text: str) -> None:
    with suppress(BadInput):
        assert all(1 <= side <= 4096 for side in parse_image_size(text))
    with suppress(BadInput):
        assert parse_sample_rate(text) in RATES_HZ


def test_numbers_are_joined_with_commas() -> None:
    assert parse_numbers("0.485, 0.456,4e-1") == (0.485, 0.456, 0.4)
    for text in ("", "a", "1,", "1;2"):
        with pytest.raises(BadInput, match="numbers are expected"):
            parse_numbers(text)
