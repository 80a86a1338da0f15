"""Learn from the support examples on this board: the exported train step moves cores and head, nothing else.

How long to train, and whether the result is accepted, is decided on support examples held out in turn; the final cores
are then trained on all of them. The examples never leave the board.
"""

import os
import time

import numpy as np

from .facts import peak_bytes
from .prototype import prototype_head
from .release import load_inference, load_tensors, read_arrays, read_manifest
from .runtime import load

_EVALUATE_EVERY = 5
_PATIENCE = 2  # evaluations without a lower mean held-out loss before training stops
_ADAM_EPS = 1e-8


def adapt(spec, emit):  # type: ignore[no-untyped-def]
    """`spec`: release, support (.npz with x, y), adapted (.npz to write), steps, lr, jitter, folds, seed, threads.

    Emits `curve` lines (fold, step, held-out loss and accuracy) and `step` lines (training loss of the final run).
    """
    manifest = read_manifest(spec["release"])
    tensors = load_tensors(spec["release"], None)
    support = read_arrays(spec["support"])
    learner = _Learner(spec, manifest, tensors, support)
    folds = min(spec["folds"], int(np.bincount(support["y"]).min()))
    before, curves = _cross_validate(learner, support["y"], folds, spec["steps"], emit) if folds > 1 else ([], [])
    chosen = _choose(before, curves)
    result = {
        "folds": folds,
        "steps": chosen["steps"],
        "accepted": chosen["accepted"],
        "reason": chosen["reason"],
        "held_out": chosen["held_out"],
        "trained_values": int(sum(tensors[name].size for name in manifest["train"]["trainables"])),
    }
    if chosen["accepted"]:
        everything = np.ones(len(support["y"]), bool)
        parameters = learner.start(everything)
        for step, trained, loss in learner.train(parameters, everything, chosen["steps"], folds):
            parameters = trained
            emit("step", step=step, loss=loss)
        if all(np.isfinite(value).all() for value in parameters):
            _write(spec["adapted"], dict(zip(manifest["train"]["trainables"], parameters)))
        else:
            result.update(accepted=False, reason="training diverged")
    return {
        **result,
        "step_ms": float(np.median(learner.step_ms)) if learner.step_ms else None,
        "peak_bytes": peak_bytes(),
    }


def _cross_validate(learner, y, folds, steps, emit):  # type: ignore[no-untyped-def]
    """(loss, accuracy) of each fold's held-out examples before training, and [(step, loss, accuracy)] while training.

    The folds advance together, so that all stop where their mean loss has stopped to fall.
    """
    held_out = [_held_out(y, fold, folds) for fold in range(folds)]
    starts = [learner.start(~rows) for rows in held_out]
    before = [learner.evaluate(start, rows) for start, rows in zip(starts, held_out)]
    runs = [learner.train(start, ~rows, steps, fold) for fold, (start, rows) in enumerate(zip(starts, held_out))]
    curves = [[] for _ in range(folds)]  # type: list[list[tuple[int, float, float]]]
    means = []  # type: list[float]
    for step in range(1, steps + 1):
        parameters = [next(run)[1] for run in runs]
        if step % _EVALUATE_EVERY and step != steps:
            continue
        for fold in range(folds):
            loss, accuracy = learner.evaluate(parameters[fold], held_out[fold])
            curves[fold].append((step, loss, accuracy))
            emit("curve", fold=fold, step=step, loss=loss, accuracy=accuracy)
        means.append(float(np.mean([curve[-1][1] for curve in curves])))
        if len(means) - 1 - int(np.argmin(means)) >= _PATIENCE:
            break
    return before, curves


class _Learner:
    """The train step bound to this release's support set."""

    def __init__(self, spec, manifest, tensors, support):  # type: ignore[no-untyped-def]
        self.spec, self.tensors = spec, tensors
        self.names = manifest["train"]["trainables"]
        self.y, self.classes = support["y"], len(manifest["classes"])
        self.x = support["x"].astype(np.float32)
        self.jitter = spec["jitter"] * float(self.x.std())
        self.from_prototypes = manifest["head"]["start"] == "prototype"
        infer = load_inference(spec["release"], manifest, tensors, spec["threads"])
        self.features = np.stack([infer([example[None]])[1][0] for example in self.x])
        path = os.path.join(spec["release"], manifest["train"]["program"])
        self.program = load(manifest["runtime"], path, {}, spec["threads"])
        self.step_ms = []  # type: list[float]

    def start(self, rows):  # type: ignore[no-untyped-def]
        """Cores as installed, and a head that has seen only the examples of `rows`."""
        values = {name: self.tensors[name] for name in self.names}
        if self.from_prototypes:
            values["head.weight"], values["head.bias"] = prototype_head(self.features[rows], self.y[rows], self.classes)
        return [np.asarray(values[name], np.float32) for name in self.names]

    def train(self, parameters, rows, steps, stream):  # type: ignore[no-untyped-def]
        """Yield (step, parameters, loss) after each Adam step on the examples of `rows`."""
        random = np.random.default_rng([self.spec["seed"], stream])
        labels = self._one_hot(rows)
        state = self._fresh_state(parameters)
        for step in range(1, steps + 1):
            x = self.x + self.jitter * random.standard_normal(self.x.shape).astype(np.float32)
            started = time.perf_counter()
            loss, _, parameters, state = self._step(x, labels, self.spec["lr"], parameters, state)
            self.step_ms.append((time.perf_counter() - started) * 1e3)
            yield step, parameters, loss

    def evaluate(self, parameters, rows):  # type: ignore[no-untyped-def]
        """Loss and accuracy on the examples of `rows`: a step of length zero."""
        loss, logits, _, _ = self._step(self.x, self._one_hot(rows), 0.0, parameters, self._fresh_state(parameters))
        return loss, float((logits.argmax(1) == self.y)[rows].mean())

    def _step(self, x, labels, lr, parameters, state):  # type: ignore[no-untyped-def]
        scalars = [np.asarray(lr, np.float32), np.asarray(_ADAM_EPS, np.float32)]
        out = self.program([x, labels, *scalars, *parameters, *state])
        count = len(parameters)
        return float(out[0]), out[1], out[2 : 2 + count], out[2 + count :]

    def _one_hot(self, rows):  # type: ignore[no-untyped-def]
        """Labels as rows of the identity; a row of zeros takes its example out of the loss."""
        return np.eye(self.classes, dtype=np.float32)[self.y] * rows[:, None].astype(np.float32)

    def _fresh_state(self, parameters):  # type: ignore[no-untyped-def]
        zeros = [np.zeros_like(value) for value in parameters]
        return [*zeros, *zeros, np.zeros((), np.float32), np.zeros((), np.float32)]


def _held_out(y, fold, folds):  # type: ignore[no-untyped-def]
    """Every `folds`-th example of each class, from the `fold`-th on."""
    order = np.zeros(len(y), int)
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        order[members] = np.arange(len(members))
    return order % folds == fold


def _choose(before, curves):  # type: ignore[no-untyped-def]
    """Number of steps with the lowest mean held-out loss, accepted if accuracy rises, or stays while loss falls."""
    if not curves:
        reason = "one example of a class: nothing can be held out to judge by"
        return {"steps": 0, "accepted": False, "reason": reason, "held_out": None}
    loss_before, accuracy_before = np.mean(before, axis=0)
    mean = np.mean(curves, axis=0)  # (evaluations, [step, loss, accuracy])
    steps, loss, accuracy = mean[int(np.argmin(mean[:, 1]))]
    accepted = bool(accuracy > accuracy_before or (accuracy == accuracy_before and loss < loss_before))
    held_out = {
        "accuracy_before": float(accuracy_before),
        "accuracy_after": float(accuracy),
        "loss_before": float(loss_before),
        "loss_after": float(loss),
    }
    reason = "held-out examples are classified better" if accepted else "held-out examples are not classified better"
    return {"steps": int(steps), "accepted": accepted, "reason": reason, "held_out": held_out}


def _write(path, arrays):  # type: ignore[no-untyped-def]
    """Appear by one rename, after the bytes are on the disk."""
    temporary = path + ".part.npz"
    np.savez(temporary, **arrays)
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
