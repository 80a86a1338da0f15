"""Rows of a head and the classes that they are of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.classes import CLASSES, names_of, packed, rows_for, rows_of_classes, rows_of_release
from edge_runtime.errors import EdgeRuntimeError

_NAMES = st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=6, unique=True)


@given(_NAMES, st.integers(0, 3))
def test_what_was_learned_holds_names_of_any_characters(names: list[str], spare: int) -> None:
    release = {"classes": ["a"], "spare_classes": 1}
    rows = [*names, *[None] * spare]
    assert rows_of_classes(release, {CLASSES: packed(rows)}) == rows
    assert rows_of_classes(release, {"head.bias": np.zeros(2, np.float32)}) == ["a", None]
    assert rows_of_release({"classes": names}) == names  # a manifest of before says nothing of room


@given(_NAMES, _NAMES, st.integers(0, 6))
def test_classes_that_stay_keep_their_rows(before: list[str], after: list[str], spare: int) -> None:
    rows = [*before, *[None] * spare]
    if len(after) > len(rows):
        with pytest.raises(EdgeRuntimeError, match=r"there is room for \d+ more classes"):
            rows_for(rows, after, "here")
        return
    changed = rows_for(rows, after, "here")
    assert len(changed) == len(rows)
    assert set(names_of(changed)) == set(after)
    assert [name for name in rows if name in after] == [
        was for was, now in zip(rows, changed, strict=True) if was == now and was
    ]


@pytest.mark.parametrize("classes", [["a"], ["a", "a"], ["a", ""], ["a", 1], []])
def test_names_that_are_none(classes: list[str]) -> None:
    with pytest.raises(EdgeRuntimeError, match="Give two names or more, each once"):
        rows_for(["a", "b", None], classes, "here")
