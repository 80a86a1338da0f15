"""Learn from examples: programs that were exported with a release move cores and head, nothing else.

Examples held out in turn decide after how many steps it is best, and whether that is accepted; the final cores are then
trained on all of them, for as many.
"""

import time

import numpy as np

from .checkpoint import Checkpoint
from .classes import CLASSES, packed
from .guard import EVERY, Reached, as_installed, remembering
from .methods import AUTO, CORES, HEAD, PROTOTYPE
from .training import Training

# Of a release that does not say it. At 3e-3 queries gain as much, but few held-out examples see it: 5 of 19 trials on
# digits were refused, here one.
LEARNING_RATE, JITTER, USUAL_STEPS = 1e-3, 0.25, 40
MOST_SECONDS = 86_400
# Cross-validation in five folds where that takes no longer than this, else in three.
_PATIENCE_S = 30.0
_TIME_WAS_UP = "time was up before it had learned"
_NO_NUMBERS = "what the network makes of these examples is no number: are they scaled as it knows them?"
_REASONS = {
    True: "held-out examples are predicted better",
    False: "held-out examples are not predicted better",
    None: "one example of a class: nothing can be held out to judge by",
}


class Deadline:
    """When learning has to have ended, from now on; None is no hurry."""

    def __init__(self, seconds: "float | None") -> None:
        self._until = float("inf") if seconds is None else time.perf_counter() + seconds

    def left_s(self) -> float:
        """Below 0: it is over."""
        return self._until - time.perf_counter()

    def sooner(self, seconds: float) -> "Deadline":
        """For what something else has to come after, which takes so long."""
        return Deadline(self.left_s() - seconds)


def learn(learner, strata, steps, emit, deadline, hinders=lambda: None, checkpoint=None):  # type: ignore[no-untyped-def]
    """What came of it, and the arrays that were learned, by name, if that was accepted (else None).

    It takes fewer steps where the deadline leaves no time for more, or more would forget too much, and keeps nothing
    after it. `hinders` says, after the first steps and at the end, what keeps it from learning, if something does.
    Emits `folds`, `curve` lines (step, held-out loss and score) and `step` lines (training loss of the final run).
    What was cut off goes on where its checkpoint was written, which is the caller's to drop, once he holds the outcome.
    """
    checkpoint = checkpoint or Checkpoint()
    try:
        return _learn(learner, strata, steps, emit, deadline, hinders, checkpoint, checkpoint.read())
    except Exception:  # what it holds may be why; not where someone interrupts it, nor a process that is killed
        checkpoint.drop()
        raise


def _learn(learner, strata, steps, emit, deadline, hinders, checkpoint, came):  # type: ignore[no-untyped-def]
    fewest = int(np.unique(strata, return_counts=True)[1].min())
    folds = came[0]["folds"] if came else min(_affordable_folds(learner, steps, deadline), fewest)
    emit("folds", folds=folds, **({"resumed": came[0]["step"]} if came else {}))
    guard, guard_s = as_installed(learner) if folds > 1 and deadline.left_s() > 0 else (None, 0.0)
    result = {"folds": folds, "steps": 0, "accepted": False, "reason": hinders(), "held_out": None, "guard": guard}
    result["method"] = learner.method if learner.method != AUTO else CORES if learner.has_cores else HEAD
    if result["reason"]:
        return result, None
    held_out, best = None, 0
    if folds > 1:  # once the last state may be judged by what it knew before, and once one to go back to
        soon = deadline.sooner(2 * guard_s)
        held_out, best = _cross_validate(learner, strata, folds, steps, emit, soon, checkpoint, came)
        result["method"] = PROTOTYPE if best == 0 else result["method"]
    accepted = held_out is not None and held_out["loss_after"] < held_out["loss_before"]
    reason = _REASONS[None if held_out is None else accepted]
    if held_out is not None and not accepted and not np.isfinite(held_out["loss_before"]):
        reason = _NO_NUMBERS
    result.update(steps=best, reason=reason, held_out=held_out)
    if deadline.left_s() < 0:
        return {**result, "reason": _TIME_WAS_UP}, None
    if not accepted:
        return result, None
    told = {"folds": folds, "best": best, "held_out": held_out}
    trained, why = _train_on_all(learner, told, guard, emit, deadline, checkpoint, came)
    why = why or (_TIME_WAS_UP if deadline.left_s() < 0 else hinders())
    if why:
        return {**result, "reason": why}, None
    step, parameters = trained
    learned = dict(zip(learner.names, parameters))
    if learner.classes is not None:
        learned[CLASSES] = packed(learner.classes)
    return {**result, "steps": step, "accepted": True}, learned


def _train_on_all(learner, told, guard, emit, deadline, checkpoint, came):  # type: ignore[no-untyped-def]
    """The step and parameters that are to be taken; or None, and why there are none."""
    everything, steps, reached = np.arange(learner.examples), told["best"], Reached()
    training = Training(learner, learner.start(everything), everything, told["folds"])
    if came and "held_out" in came[0]:
        training.go_on(came[0]["step"], came[1], "all")
        reached.go_on(came[1], came[0]["reached"], came[0]["every"])
    elif not steps:
        reached.add(0, training.parameters, True)
    while training.done < steps:
        emit("step", step=training.done + 1, loss=training.step())
        if guard is not None:
            reached.add(training.done, training.parameters, training.done == steps)
        if deadline.left_s() < 0:
            return None, _TIME_WAS_UP
        if checkpoint.is_due():
            kept = {"step": training.done, "reached": [step for step, _ in reached.kept], "every": reached.every}
            checkpoint.keep({**told, **kept}, {**training.arrays("all"), **reached.arrays()})
    parameters = training.parameters
    if not all(np.isfinite(value).all() for value in parameters):
        return None, "training diverged"
    return ((steps, parameters), None) if guard is None else remembering(learner, reached, guard, deadline)


def _affordable_folds(learner, steps, deadline) -> int:  # type: ignore[no-untyped-def]
    """Five, or three where a step takes so long that five would try one's patience, or the deadline."""
    everything = np.arange(learner.examples)
    parameters = learner.start(everything)
    learner.gradients(parameters, everything)  # the first call warms up
    started = time.perf_counter()
    learner.gradients(parameters, everything)
    return 5 if 6 * steps * (time.perf_counter() - started) <= min(_PATIENCE_S, deadline.left_s()) else 3


def _cross_validate(learner, strata, folds, steps, emit, deadline, checkpoint, came):  # type: ignore[no-untyped-def]
    """Loss and score of the held-out examples, all folds together, with the starting head and when they were best.

    And the number of steps by then: of few examples, going on is soon worse. 0: the starting head itself, beside what
    is installed, or guessing where classes change; where any method may be chosen, if training gains nothing and that
    does.
    """
    if came and "held_out" in came[0]:
        return came[0]["held_out"], came[0]["best"]
    held_out = [_held_out(strata, fold, folds) for fold in range(folds)]
    starts = [learner.start(np.flatnonzero(~rows)) for rows in held_out]
    runs = [
        Training(learner, start, np.flatnonzero(~rows), fold)
        for fold, (start, rows) in enumerate(zip(starts, held_out))
    ]

    def judged(parameters):  # type: ignore[no-untyped-def]
        scores, judgements = zip(
            *[learner.judge(values, np.flatnonzero(rows)) for values, rows in zip(parameters, held_out)]
        )
        # Of several calibrations of the same outputs, the one that suits all of them best.
        return float(np.concatenate(judgements).mean(0).min()), float(np.concatenate(scores).mean())

    before = judged(starts)
    emit("curve", step=0, loss=before[0], score=before[1])
    if learner.method == PROTOTYPE:
        return _before_and_after(learner.guessed() or judged([learner.installed()] * folds), before), 0
    after, best, first = (float("nan"), float("nan")), steps, 0
    if came:
        after, best, first = tuple(came[0]["after"]), came[0]["best"], came[0]["step"]
        for fold, run in enumerate(runs):
            run.go_on(first, came[1], str(fold))
    began = time.perf_counter()
    for step in range(first + 1, steps + 1):
        for run in runs:
            run.step()
        a_round_s = (time.perf_counter() - began) / (step - first)
        # The final run takes as many steps as this one, each on one fold's examples more.
        is_last = step == steps or deadline.left_s() < a_round_s + (step + 1) * a_round_s / (folds - 1)
        if step % EVERY == 0 or is_last:
            now = judged([run.parameters for run in runs])
            emit("curve", step=step, loss=now[0], score=now[1])
            if not now[0] >= after[0]:  # the first, too; and after one that diverged any other
                after, best = now, step
        if is_last:
            break
        if checkpoint.is_due():
            arrays = [each for fold, run in enumerate(runs) for each in run.arrays(str(fold)).items()]
            checkpoint.keep({"folds": folds, "step": step, "after": after, "best": best}, dict(arrays))
    if learner.method == AUTO and learner.starts and not after[0] < before[0] and deadline.left_s() > 0:
        installed = learner.guessed() or judged([learner.installed()] * folds)
        if before[0] < installed[0]:
            return _before_and_after(installed, before), 0
    return _before_and_after(before, after), best


def _before_and_after(before, after):  # type: ignore[no-untyped-def]
    return {"loss_before": before[0], "score_before": before[1], "loss_after": after[0], "score_after": after[1]}


def _held_out(strata, fold, folds):  # type: ignore[no-untyped-def]
    """Every `folds`-th example of each stratum, from the `fold`-th on."""
    order = np.zeros(len(strata), int)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        order[members] = np.arange(len(members))
    return order % folds == fold
