"""Learn from the support examples on this board: the exported train step moves cores and head, nothing else.

Whether the result is accepted is decided on support examples held out in turn; the final cores are then trained on all
of them, for as many steps. The examples never leave the board.
"""

import os
import time

import numpy as np

from .digests import read_manifest
from .facts import peak_bytes
from .prototype import prototype_head
from .release import load_inference, load_tensors
from .runtime import load
from .tensors import read_arrays, write_arrays

_EVALUATE_EVERY = 5
# Cross-validation in five folds where that takes no longer than this, else in three.
_PATIENCE_S = 30.0
_ADAM_EPS = 1e-8
_REASONS = {
    True: "held-out examples are predicted better",
    False: "held-out examples are not predicted better",
    None: "one example of a class: nothing can be held out to judge by",
}


def adapt(spec, emit):  # type: ignore[no-untyped-def]
    """`spec`: release, support (tensors file with x, y), adapted (file to write), steps, lr, jitter, seed, threads.

    Emits `folds`, `curve` lines (step, held-out loss and accuracy) and `step` lines (training loss of the final run).
    """
    manifest = read_manifest(spec["release"])
    tensors = load_tensors(spec["release"], None)
    support = read_arrays(spec["support"])
    learner = _Learner(spec, manifest, tensors, support)
    folds = min(learner.affordable_folds(), int(np.bincount(support["y"]).min()))
    emit("folds", folds=folds)
    held_out = _cross_validate(learner, support["y"], folds, spec["steps"], emit) if folds > 1 else None
    accepted = held_out is not None and held_out["loss_after"] < held_out["loss_before"]
    result = {
        "folds": folds,
        "steps": 0 if held_out is None else spec["steps"],
        "accepted": accepted,
        "reason": _REASONS[None if held_out is None else accepted],
        "held_out": held_out,
        "trained_values": int(sum(tensors[name].size for name in manifest["train"]["trainables"])),
    }
    if accepted:
        everything = np.ones(len(support["y"]), bool)
        parameters = learner.start(everything)
        for step, trained, loss in learner.train(parameters, everything, spec["steps"], folds):
            parameters = trained
            emit("step", step=step, loss=loss)
        if all(np.isfinite(value).all() for value in parameters):
            write_arrays(spec["adapted"], dict(zip(manifest["train"]["trainables"], parameters)))
        else:
            result.update(accepted=False, reason="training diverged")
    return {
        **result,
        "step_ms": float(np.median(learner.step_ms)) if learner.step_ms else None,
        "peak_bytes": peak_bytes(),
    }


def _cross_validate(learner, y, folds, steps, emit):  # type: ignore[no-untyped-def]
    """Loss and accuracy of the held-out examples, all folds together, with the starting head and after training.

    The loss is the cross-entropy at the temperature that suits it best: training on a handful of examples makes a model
    overconfident long before it makes it worse.
    """
    held_out = [_held_out(y, fold, folds) for fold in range(folds)]
    starts = [learner.start(~rows) for rows in held_out]
    runs = [learner.train(start, ~rows, steps, fold) for fold, (start, rows) in enumerate(zip(starts, held_out))]

    def score(parameters):  # type: ignore[no-untyped-def]
        logits = np.zeros((len(y), learner.classes))
        for values, rows in zip(parameters, held_out):
            logits[rows] = learner.logits(values)[rows]
        return best_cross_entropy(logits, y), float((logits.argmax(1) == y).mean())

    before = score(starts)
    emit("curve", step=0, loss=before[0], accuracy=before[1])
    for step in range(1, steps + 1):
        parameters = [next(run)[1] for run in runs]
        if step % _EVALUATE_EVERY == 0 or step == steps:
            after = score(parameters)
            emit("curve", step=step, loss=after[0], accuracy=after[1])
    return {
        "loss_before": before[0],
        "accuracy_before": before[1],
        "loss_after": after[0],
        "accuracy_after": after[1],
    }


def best_cross_entropy(logits: np.ndarray, y: np.ndarray) -> float:
    """Mean cross-entropy of `logits` (N, classes) at the best of 61 temperatures from 0.05 to 50 (Guo et al. 2017)."""
    losses = []
    for temperature in np.geomspace(0.05, 50, 61):
        scaled = logits / temperature
        scaled = scaled - scaled.max(1, keepdims=True)
        losses.append(float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(y)), y]).mean()))
    return min(losses)


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

    def logits(self, parameters):  # type: ignore[no-untyped-def]
        """Logits of all support examples: a step of length zero."""
        everything = self._one_hot(np.ones(len(self.y), bool))
        return self._step(self.x, everything, 0.0, parameters, self._fresh_state(parameters))[1]

    def affordable_folds(self) -> int:
        """Five, or three where a step takes so long that five would try one's patience."""
        parameters = self.start(np.ones(len(self.y), bool))
        self.logits(parameters)  # the first call warms up
        started = time.perf_counter()
        self.logits(parameters)
        seconds = (time.perf_counter() - started) * self.spec["steps"]
        return 5 if 6 * seconds <= _PATIENCE_S else 3

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
