"""What learning costs of what a network knew, by examples that a release carries of that."""

import time

import numpy as np

# Of the score of what a network knew before, learning may cost so much, where a release says no other share.
MAX_FORGETTING = 0.01
# Parameters of so many of the steps are kept to go back to, however many there are.
EVERY, _MOST_KEPT = 5, 8
# Of a difference of shares.
_ROUNDING = 1e-9
_FORGETS = "what it knew before is forgotten: {} on {} examples of that fell from {:.1%} to {:.1%}"


class Reached:
    """Parameters after some of the steps of a training, the last among them."""

    def __init__(self) -> None:
        self.kept, self.every = [], EVERY  # type: ignore[var-annotated]

    def arrays(self) -> "dict[str, np.ndarray]":
        """All of them, by names that say the step and the place."""
        return {
            "reached.{}.{}".format(step, place): np.asarray(value)
            for step, parameters in self.kept
            for place, value in enumerate(parameters)
        }

    def go_on(self, arrays, steps, every) -> None:  # type: ignore[no-untyped-def]
        """With those of these steps, every so many of which were kept by then."""
        self.every = every
        for step in steps:
            names = sorted((name for name in arrays if name.startswith("reached.{}.".format(step))), key=_place)
            self.kept.append((step, [arrays[name] for name in names]))

    def add(self, step, parameters, is_last) -> None:  # type: ignore[no-untyped-def]
        """After that step."""
        if step % self.every and not is_last:
            return
        self.kept.append((step, parameters))
        if len(self.kept) > _MOST_KEPT:
            self.every *= 2
            self.kept = [each for each in self.kept if each[0] % self.every == 0 or each[0] == step]


def _place(name: str) -> int:
    return int(name.rsplit(".", 1)[1])


def as_installed(learner):  # type: ignore[no-untyped-def]
    """What it knows as installed, if the release says by what to tell, and the seconds that this took."""
    if learner.guard is None:
        return None, 0.0
    started = time.perf_counter()
    score = learner.guarded(learner.start(np.arange(learner.examples)))
    guard = {"examples": len(learner.guard[1]), "score_before": score, "score_after": None}
    return guard, time.perf_counter() - started


def remembering(learner, reached, guard, deadline):  # type: ignore[no-untyped-def]
    """The last step and parameters that forget no more than they may, told in `guard`; or None, and why there are none.

    Nothing is gone back to after the deadline.
    """
    fell_to = None
    for step, parameters in reversed(reached.kept):
        if fell_to is not None and deadline.left_s() < 0:
            break
        score = learner.guarded(parameters)
        if guard["score_before"] - score <= learner.may_forget + _ROUNDING:
            guard["score_after"] = score
            return (step, parameters), None
        fell_to = score if fell_to is None else fell_to
    guard["score_after"] = fell_to
    return None, _FORGETS.format(learner.measure, guard["examples"], guard["score_before"], fell_to)
