"""What an application calls an example's class: as `deploy adapt` reads it."""

from collections.abc import Sequence

import numpy as np
import pytest

from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.inputs import entry_of
from edge_runtime.support import support_of

_X = {"name": "x", "dtype": "float32", "shape": [2]}


@pytest.mark.parametrize(
    ("classes", "targets", "places"),
    [
        ("ab", ["b", "a", "b"], [1, 0, 1]),
        ("ab", [1, 0, 1], [1, 0, 1]),
        ("789", [9, 7, 8], [2, 0, 1]),
        ("789", [2, 0, 1], [2, 0, 1]),
        ("10", [0, 1, 1], [1, 0, 0]),
        ("10", ["0", "1", "1"], [1, 0, 0]),
    ],
    ids=["names", "places", "numbers that are names", "places beside such", "names in another order", "as text"],
)
def test_names_come_before_places(classes: str, targets: Sequence[object], places: list[int]) -> None:
    target = {"name": "y", "dtype": "int64", "shape": []}
    learn = {"target": target, "starts": [], "most": 9}
    manifest = {"learn": learn, "classes": list(classes), "measure": "accuracy"}
    x = np.zeros((len(targets), 2), np.float32)
    found = support_of(manifest, [entry_of(_X, None)], x, targets, list(classes))
    assert found["targets.y"].tolist() == places


def test_a_number_may_be_the_name_of_a_class_that_went() -> None:
    """Of 0, 1 and 2 the first was removed: a 0 is no place of the second."""
    learn = {"target": {"name": "y", "dtype": "int64", "shape": []}, "starts": [], "most": 9}
    manifest = {"learn": learn, "classes": list("012"), "measure": "accuracy"}
    x, entries, rows = np.zeros((4, 2), np.float32), [entry_of(_X, None)], [None, "1", "2"]
    with pytest.raises(EdgeRuntimeError, match="'0' is none of its classes"):
        support_of(manifest, entries, x, [0, 1, 0, 1], rows)
    assert support_of(manifest, entries, x, [1, 2, 1, 2], rows)["targets.y"].tolist() == [1, 2, 1, 2]
