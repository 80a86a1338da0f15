"""Numbers are said as they are: not measured is not 0, nearly all is not all."""

import pytest

from toolkit.report import words


@pytest.mark.parametrize("say", [words.milliseconds, words.size, words.count, words.share, words.number])
def test_missing_is_said(say) -> None:
    assert say(None) == "not measured"
    assert say(float("nan")) == "not finite"


@pytest.mark.parametrize(
    ("value", "text"), [(0.824, "82.4 %"), (1.0, "100.0 %"), (0.99998, "over 99.9 %"), (0.0, "0.0 %")]
)
def test_shares(value: float, text: str) -> None:
    assert words.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "under 0.1 s"), (0.84, "0.8 s"), (95.2, "95 s"), (725.0, "12 min 5 s")]
)
def test_seconds(value: float, text: str) -> None:
    assert words.seconds(value) == text


def test_wilson_interval_is_the_published_one() -> None:
    # Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662; 0 of 20 is 0 to 0.1611
    assert words.wilson(81 / 263, 263) == "26–37 %"
    assert words.wilson(0.0, 20) == "0–16 %"
