"""The programs that a release learns by, bound to its support examples."""

import os
import time

import numpy as np

from .methods import AUTO, HEAD, of_head
from .program import load
from .release import load_inference
from .tensors import read_arrays


def read_by_learning(learn):  # type: ignore[no-untyped-def]
    """Names of a release's files."""
    guard = learn.get("guard")
    return [*learn["programs"].values(), *([guard["file"]] if guard else [])]


class Learner:
    """`step_ms` are the times of the training steps so far. `classes` are those of the head's rows, if the release has
    others. `guard` are inputs and targets of what the network knew
    before, if the release has such, of whose score it may lose `may_forget`.
    """

    def __init__(self, spec, manifest, tensors, support):  # type: ignore[no-untyped-def]
        learn = manifest["learn"]
        if learn is None:
            raise ValueError("this release does not learn")
        self.spec, self.tensors = spec, tensors
        self.names, self.starts, self.batch, self.most = (
            learn[key] for key in ("trainables", "starts", "batch", "most")
        )
        self.eps, self.state, self.measure = learn["eps"], learn["state"], manifest.get("measure") or "score"
        self.method, self.classes = spec.get("method") or AUTO, spec.get("classes")
        heads = of_head(self.names)
        self.has_cores = not all(heads)
        self._still = [self.method == HEAD and not each for each in heads]
        self.inputs = [support["inputs." + port["name"]] for port in manifest["inputs"]]
        self.targets = support["targets." + learn["target"]["name"]]
        self.examples = len(self.targets)
        if not self.examples or any(len(each) != self.examples for each in self.inputs):
            raise ValueError("inputs and targets are not as many, or none")
        self.guard, self.may_forget = self._guard(manifest)
        self.jitter = [
            spec["jitter"].get(port["name"], 0.0) * float(values.std()) if values.dtype == np.float32 else 0.0
            for port, values in zip(manifest["inputs"], self.inputs)
        ]
        self.programs = {
            name: load(manifest["runtime"], os.path.join(spec["release"], file), {}, spec["threads"])
            for name, file in learn["programs"].items()
        }
        self.features = None
        if self.starts:
            if self.examples > self.most:
                raise ValueError("{} examples, the release starts from {} at most".format(self.examples, self.most))
            infer = load_inference(spec["release"], manifest, tensors, spec["threads"])
            rows = [infer([values[row : row + 1] for values in self.inputs])[1] for row in range(self.examples)]
            self.features = np.concatenate(rows)
        self.step_ms = []  # type: list[float]

    def _guard(self, manifest):  # type: ignore[no-untyped-def]
        """Of a release that has none, or of before: none."""
        said = manifest["learn"].get("guard")
        if said is None:
            return None, None
        arrays = read_arrays(os.path.join(self.spec["release"], said["file"]))
        may_forget = self.spec.get("max_forgetting")
        inputs = [arrays["inputs." + port["name"]] for port in manifest["inputs"]]
        targets = arrays["targets." + manifest["learn"]["target"]["name"]]
        return (inputs, targets), said["max_forgetting"] if may_forget is None else may_forget

    def guessed(self):  # type: ignore[no-untyped-def]
        """Loss and score of guessing, if it learns other classes than are installed, of which that tells nothing."""
        if self.classes is None:
            return None
        count = sum(name is not None for name in self.classes)
        return float(np.log(count)), 1 / count

    def installed(self):  # type: ignore[no-untyped-def]
        """Cores and head as they were installed."""
        return [np.asarray(self.tensors[name], np.float32) for name in self.names]

    def start(self, rows):  # type: ignore[no-untyped-def]
        """Cores as installed, and a head that has seen only the examples of `rows`."""
        values = dict(zip(self.names, self.installed()))
        if self.features is not None:
            weights = np.zeros(self.most, np.float32)
            weights[rows] = 1
            everything = _filled(np.arange(self.examples), self.most)
            made = self.programs["start"]([self.features[everything], self.targets[everything], weights])
            values.update(zip(self.starts, made))
        return [np.asarray(values[name], np.float32) for name in self.names]

    def step(self, parameters, state, rows, random):  # type: ignore[no-untyped-def]
        """Parameters and the optimiser's state after one step on the examples of `rows`, and the loss before it."""
        inputs = self.shaken(random)
        started = time.perf_counter()
        losses, _, sums = self.gradients(parameters, rows, (inputs, self.targets))
        # Adam does not move what never had a gradient.
        sums = [np.zeros_like(each) if still else each for each, still in zip(sums, self._still)]
        scalars = [np.asarray(each, np.float32) for each in (len(rows), self.spec["lr"], self.eps)]
        made = self.programs["update"]([*scalars, *sums, *parameters, *state])
        self.step_ms.append((time.perf_counter() - started) * 1e3)
        return made[: len(parameters)], made[len(parameters) :], float(losses.mean())

    def gradients(self, parameters, rows, of=None):  # type: ignore[no-untyped-def]
        """Losses, outputs, and the sums of the gradients of the examples of `rows`, `of` others if they are given."""
        losses, outputs, sums = [], [], None
        inputs, targets = of or (self.inputs, self.targets)
        for batch, weights in self._batches(rows):
            given = [values[batch] for values in inputs]
            made = self.programs["gradient"]([*given, targets[batch], weights, *parameters])
            count = int(weights.sum())
            losses.append(made[0][:count])
            outputs.append(made[1][:count])
            sums = made[2:] if sums is None else [total + more for total, more in zip(sums, made[2:])]
        return np.concatenate(losses), np.concatenate(outputs), sums

    def guarded(self, parameters):  # type: ignore[no-untyped-def]
        """Mean score of the guard."""
        return float(self.judge(parameters, np.arange(len(self.guard[1])), self.guard)[0].mean(dtype=np.float64))

    def judge(self, parameters, rows, of=None):  # type: ignore[no-untyped-def]
        """Scores (N,) and judgements (N, K) of the examples of `rows`, `of` others if they are given."""
        outputs, targets = self.gradients(parameters, rows, of)[1], of[1] if of else self.targets
        scores, judgements = [], []
        for batch, weights in self._batches(np.arange(len(rows))):
            score, judgement = self.programs["judge"]([outputs[batch], targets[rows[batch]]])
            count = int(weights.sum())
            scores.append(score[:count])
            judgements.append(judgement[:count])
        return np.concatenate(scores), np.concatenate(judgements)

    def _batches(self, rows):  # type: ignore[no-untyped-def]
        """Indices and weights, a batch at a time: programs take so many and no fewer."""
        for first in range(0, len(rows), self.batch):
            part = rows[first : first + self.batch]
            weights = np.zeros(self.batch, np.float32)
            weights[: len(part)] = 1
            yield _filled(part, self.batch), weights

    def shaken(self, random):  # type: ignore[no-untyped-def]
        """The inputs, with noise that is drawn anew at each step."""
        return [_shaken(values, share, random) for values, share in zip(self.inputs, self.jitter)]


def _shaken(values, deviation, random):  # type: ignore[no-untyped-def]
    if not deviation:
        return values
    return values + np.float32(deviation) * random.standard_normal(values.shape).astype(np.float32)


def _filled(rows, size):  # type: ignore[no-untyped-def]
    """`size` of them; what is missing is the first once more."""
    return np.concatenate([rows, np.full(size - len(rows), rows[0])])
