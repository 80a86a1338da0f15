"""Choices and selections: their text is stable, and says all there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.choice import DENSE, REMOVED, Choice, Selection, all_dense, keep, parse_choice, rank

PRECISIONS = st.sampled_from(("fp32", "fp16", "int8"))
CHOICES = st.one_of(
    st.builds(Choice, st.sampled_from(("dense", "removed")), st.none(), PRECISIONS),
    st.builds(Choice, st.sampled_from(("rank", "channels")), st.integers(1, 10_000), PRECISIONS),
)
SELECTIONS = st.dictionaries(st.text(min_size=1, max_size=5), CHOICES, max_size=5)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        (DENSE, "dense"),
        (REMOVED, "removed"),
        (Choice("removed", precision="int8"), "removed int8"),
        (rank(32), "rank 32"),
        (keep(48), "keep 48"),
        (rank(32, "int8"), "rank 32 int8"),
        (Choice(precision="fp16"), "dense fp16"),
    ],
)
def test_the_text_of_a_choice_is_what_profiles_keep(choice: Choice, text: str) -> None:
    assert str(choice) == text
    assert parse_choice(text) == choice


@given(CHOICES)
def test_text_and_choice_go_both_ways(choice: Choice) -> None:
    assert parse_choice(str(choice)) == choice


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rank",
        "rank 0",
        "rank -1",
        "keep x",
        "dense fp32",
        "dense 3",
        "rank 3 int4",
        "rank 3\n",
        "removed 3",
        "removed fp32",
    ],
)
def test_what_is_no_choice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a choice"):
        parse_choice(text)


@pytest.mark.parametrize(
    "made", [("dense", 3), ("rank", None), ("rank", 0), ("depth", 1), ("removed", 1), ("removed", None, "int4")]
)
def test_a_choice_that_cannot_be_is_not_made(made: tuple[str | int | None, ...]) -> None:
    with pytest.raises(ValueError):
        Choice(*made)  # type: ignore[arg-type]


@given(SELECTIONS)
def test_a_selection_is_its_choices_in_any_order(choices: dict[str, Choice]) -> None:
    one, other = Selection(choices), Selection(dict(reversed(choices.items())))
    assert one == other == choices
    assert hash(one) == hash(other)
    assert one.key == other.key


@given(SELECTIONS)
def test_what_does_not_change_is_dense(choices: dict[str, Choice]) -> None:
    selection = Selection(choices)
    assert selection.is_dense == (selection == all_dense(list(choices)))
    assert selection.but(all_dense(list(choices))).is_dense
    assert selection.but(selection.changed) == selection
