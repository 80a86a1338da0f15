"""What an application asks of learning, checked before anything is begun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .classes import Rows, rows_for, rows_of_release
from .errors import EdgeRuntimeError
from .learning import JITTER, LEARNING_RATE, MOST_SECONDS
from .methods import AUTO, METHODS, what_hinders
from .state import State

_WHERE = "model.learn(...)"


@dataclass(frozen=True)
class Asked:
    """Steps of training, seconds, and the share of the score of what it knew before that may be lost: None is as usual
    for the release, and no limit of seconds. `method` is one of METHODS; `classes` are the names that are told apart
    from then on, None: those of now.
    """

    method: str = AUTO
    steps: int | None = None
    seconds: float | None = None
    max_forgetting: float | None = None
    seed: int = 0
    classes: Sequence[str] | None = None


def require_sound(asked: Asked) -> None:
    """Whatever the release. Raises EdgeRuntimeError."""
    if asked.method not in METHODS:
        raise _wrong("method", asked.method, f"Give one of {', '.join(METHODS)}.")
    if asked.classes is not None and not isinstance(asked.classes, (list, tuple)):
        raise _wrong("classes", asked.classes, "Give a list of names.")
    if asked.steps is not None and (type(asked.steps) is not int or asked.steps < 1):
        raise _wrong("steps", asked.steps, "Give a whole number from 1 on.")
    if asked.seconds is not None and not (type(asked.seconds) in (int, float) and 0 < asked.seconds <= MOST_SECONDS):
        raise _wrong("seconds", asked.seconds, f"Give more than 0, and {MOST_SECONDS} at most.")
    may_forget = asked.max_forgetting
    if may_forget is not None and not (type(may_forget) in (int, float) and 0 <= may_forget <= 1):
        raise _wrong("max_forgetting", may_forget, "Give 0 to 1, e.g. 0.01.")


def require_possible(asked: Asked, state: State) -> None:
    """By this release, which learns. Raises EdgeRuntimeError."""
    learn, hindrance = state.manifest["learn"], state.manifest["hindrance"]
    if asked.max_forgetting is not None and not learn.get("guard"):
        raise EdgeRuntimeError(
            "the release carries no examples of what its network knew before",
            where=_WHERE,
            next="Leave max_forgetting out, or deploy one that does: docs/on-the-board.md says which do.",
        )
    if why := what_hinders(asked.method, learn, hindrance):
        raise EdgeRuntimeError(why, where=_WHERE, next=f"Leave method={asked.method!r} out: it learns as it can.")


def rows_of(asked: Asked, state: State) -> Rows:
    """Which class each row of the head is to be of. Raises EdgeRuntimeError."""
    if asked.classes is None or list(asked.classes) == state.classes:
        return state.rows
    learn = state.manifest["learn"]
    if not learn or not learn["starts"] or "spare_classes" not in state.manifest:
        raise EdgeRuntimeError(
            "the release tells apart the classes that it came with",
            where=_WHERE,
            next="Leave classes out; deploy --set adaptation.spare_classes=N makes room for N that are new.",
        )
    return rows_for(state.rows, asked.classes, _WHERE)


def spec_of(asked: Asked, state: State, rows: Rows, threads: int) -> dict[str, Any]:
    """As a `Learner` takes it."""
    usual = state.manifest["learn"].get("usual", {})
    return {
        "release": state.served.folder,
        "threads": threads,
        "method": asked.method,
        "classes": None if rows == rows_of_release(state.manifest) else rows,
        "seed": asked.seed,
        "lr": LEARNING_RATE,
        "max_forgetting": asked.max_forgetting,
        "jitter": usual.get("jitter") or {entry.name: JITTER for entry in state.entries},
    }


def _wrong(name: str, value: object, what_next: str) -> EdgeRuntimeError:
    return EdgeRuntimeError(f"{name} is {value!r}", where=_WHERE, next=what_next)
