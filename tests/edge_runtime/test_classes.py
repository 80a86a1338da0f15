"""Rows of a head and the classes that they are of."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.classes import CLASSES, names_of, packed, rows_for, rows_of_classes, rows_of_release
from edge_runtime.errors import EdgeRuntimeError

_NAMES = st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=6, unique=True)


@given(_NAMES, st.integers(0, 3))
def test_what_was_learned_holds_names_of_any_characters(names: list[str], spare: int) -> None:
    release = {"classes": [name + "!" for name in names], "spare_classes": spare}
    rows = [*names, *[None] * spare]
    assert rows_of_classes(release, {CLASSES: packed(rows)}) == rows
    assert rows_of_classes(release, {"head.bias": np.zeros(2, np.float32)}) == rows_of_release(release)
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


@pytest.mark.parametrize("rows", [["a", "b"], ["a", "b", 1], ["a", "b", "b"], ["a", "b", " "], {"a": 0}, 3])
def test_what_is_no_list_of_its_rows_is_refused(rows: Any) -> None:
    held = np.frombuffer(json.dumps(rows).encode(), np.uint8).astype(np.float32)
    with pytest.raises(ValueError, match="classes are not those of its rows"):
        rows_of_classes({"classes": ["a", "b"], "spare_classes": 1}, {CLASSES: held})


@pytest.mark.parametrize("classes", [["a"], ["a", "a"], ["a", ""], ["a", 1], [], ["a", "\udcff"]])
def test_names_that_are_none(classes: list[str]) -> None:
    with pytest.raises(EdgeRuntimeError, match="Give two names or more, each once"):
        rows_for(["a", "b", None], classes, "here")
