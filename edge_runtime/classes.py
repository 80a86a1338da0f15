"""Which class each row of a head is of: a release has room for some more, and what a board learned may name them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .errors import EdgeRuntimeError

# The array of what was learned that holds them, where it has others than the release: JSON, a byte a value, in the
# type of all that is learned.
CLASSES = "classes"
# Beside a plain program, where it has such.
CLASSES_FILE = "classes.json"
# The logit of a row that is of no class: beside any other its share is zero.
NEVER = -1e4
Rows = list["str | None"]  # None where a row is free


def rows_of_release(manifest: Mapping[str, Any]) -> Rows:
    """As it was installed."""
    return [*manifest["classes"], *[None] * manifest.get("spare_classes", 0)]


def rows_of_classes(manifest: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Rows:
    """Of a release's tensors, those that were learned in their place. Raises ValueError for what is no such list."""
    if CLASSES not in tensors:
        return rows_of_release(manifest)
    rows: Rows = json.loads(bytes(tensors[CLASSES].astype(np.uint8)))
    whole = isinstance(rows, list) and len(rows) == len(rows_of_release(manifest))
    names = names_of(rows) if whole else []
    if not all(map(_is_name, names)) or len(set(names)) < max(len(names), 2):
        raise ValueError("classes are not those of its rows")
    return rows


def _is_name(name: object) -> bool:
    if not isinstance(name, str) or not name.strip():
        return False
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a character, of a shell that knows another encoding
        return False
    return True


def packed(rows: Sequence[str | None]) -> np.ndarray:
    """As what was learned holds them."""
    return np.frombuffer(json.dumps(list(rows)).encode(), np.uint8).astype(np.float32)


def names_of(rows: Sequence[str | None]) -> list[str]:
    """Those that there are, in the order of their logits."""
    return [name for name in rows if name is not None]


def rows_for(rows: Sequence[str | None], classes: Sequence[str], where: str) -> Rows:
    """The rows where these classes are told apart and no others: what stays keeps its own. Raises EdgeRuntimeError."""
    wrong = [name for name in classes if not _is_name(name)]
    if wrong or len(set(classes)) < max(len(classes), 2):
        raise EdgeRuntimeError(
            f"{wrong[0]!r} is no name of a class" if wrong else f"classes are {', '.join(classes) or 'none'}",
            where=where,
            next="Give two names or more, each once.",
        )
    changed: Rows = [name if name in classes else None for name in rows]
    new = [name for name in classes if name not in changed]
    free = [place for place, name in enumerate(changed) if name is None]
    if len(new) > len(free):
        raise EdgeRuntimeError(
            f"there is room for {len(free)} more classes, and {len(new)} are new: {', '.join(new[:8])}",
            where=where,
            next="deploy --set adaptation.spare_classes=N makes room for N.",
        )
    for place, name in zip(free, new):
        changed[place] = name
    return changed
