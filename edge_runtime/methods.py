"""By which method a board learns: a head made anew of the examples, a head that is trained, or cores and head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# The first is what is chosen where no other is: cores, or where training gains nothing a head made anew.
AUTO, PROTOTYPE, HEAD, CORES = METHODS = ("auto", "prototype", "head", "cores")
_OF_HEAD = "head."


def of_head(names: Sequence[str]) -> list[bool]:
    """Which of the trainables are the last layer's."""
    return [name.startswith(_OF_HEAD) for name in names]


def what_hinders(method: str, learn: Mapping[str, Any], hindrance: str | None) -> str | None:
    """Why a release whose manifest says `learn` and `hindrance` cannot learn by that method; None if it can."""
    heads = of_head(learn["trainables"])
    if method == PROTOTYPE and not learn["starts"]:
        return "the release does not make its head of examples, but keeps the one that it came with"
    if method == HEAD and not any(heads):
        return "the release has no last layer that it could train by itself"
    if method == CORES and all(heads):
        return "the release trains no cores" + (f": {hindrance}" if hindrance else ", for it has none")
    return None
