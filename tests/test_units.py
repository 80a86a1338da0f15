"""Quantities survive being written and read, and nonsense is refused with an example."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import BadInput
from toolkit.units import format_bytes, format_milliseconds, parse_bytes, parse_milliseconds, parse_share


@given(st.integers(1, 10**15))
def test_bytes_round_trip_to_three_digits(size: int) -> None:
    assert parse_bytes(format_bytes(size)) == pytest.approx(size, rel=0.005)


@given(st.floats(1e-9, 1e9))
def test_milliseconds_round_trip_to_three_digits(value: float) -> None:
    assert parse_milliseconds(format_milliseconds(value)) == pytest.approx(value, rel=0.005)


def test_a_share_may_be_a_percentage() -> None:
    assert [parse_share(text) for text in ("0.85", "85%", " 85 % ", "0", "1", "100%")] == [0.85, 0.85, 0.85, 0, 1, 1]
    for text in ("", "%", "85", "101%", "-1%", "nan", "inf", "a half"):
        with pytest.raises(BadInput, match=r"0\.85, or 85%"):
            parse_share(text)


@given(st.text() | st.from_regex(r"\A[0-9.eE+-]{1,400} ?[kKmMgGuUiIsSbB]{0,4}\Z"))
def test_any_text_is_a_positive_quantity_or_bad_input(text: str) -> None:
    for parse in (parse_bytes, parse_milliseconds):
        with suppress(BadInput):
            assert parse(text) > 0


@pytest.mark.parametrize(
    ("text", "size"),
    [("64MB", 64_000_000), ("1MiB", 2**20), ("1.5 KiB", 1536), (" 7 b ", 7), ("2gb", 2 * 10**9), ("0.1B", 1)],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(("text", "value"), [("5ms", 5.0), ("250us", 0.25), ("1.5 s", 1500.0), ("1e-3 MS", 1e-3)])
def test_times_as_people_write_them(text: str, value: float) -> None:
    assert parse_milliseconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "5", "ms", "-5ms", "0ms", "5 MB", "1e999ms", "nan ms", "٣ms", "5ms 6ms"])
def test_what_is_no_time_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(BadInput, match=r"is not a positive quantity|has no unit|has the unknown unit 'MB'") as caught:
        parse_milliseconds(text)
    assert "us, ms, s" in str(caught.value.next)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_999, "1 MB"),
        (64_000_000, "64 MB"),
        (123_456_789, "123 MB"),
    ],
)
def test_sizes_as_printed(size: int, text: str) -> None:
    assert format_bytes(size) == text
