"""A model as an application calls it: what the board serves, with what it has learned."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import learned
from .counters import Counters
from .errors import EdgeRuntimeError
from .inputs import Entry, entry_of, rows_of_all
from .learner import Learner
from .learning import JITTER, LEARNING_RATE, USUAL_STEPS, learn
from .program import Program
from .release import load_inference, load_tensors
from .served import HOME, Served, look, read
from .support import support_of
from .tensors import read_arrays


def load(root: str | None = None, *, threads: int = 1) -> Model:
    """What is active on this board; `root` is the folder of the toolkit there ($EDGE_DEPLOY_ROOT, else ~/.edge-deploy).

    Raises EdgeRuntimeError where there is nothing, or it is damaged, or for another runtime.
    """
    folder = root or os.environ.get("EDGE_DEPLOY_ROOT") or HOME
    return Model(os.path.abspath(os.path.expanduser(folder)), threads)


@dataclass(frozen=True)
class Learned:
    """What came of learning: it serves from now on if `accepted`. `held_out` has loss and score before and after."""

    accepted: bool
    reason: str
    examples: int
    steps: int
    held_out: dict[str, float] | None


@dataclass(frozen=True)
class _Loaded:
    served: Served
    manifest: dict[str, Any]
    entries: list[Entry]
    run: Program


class Model:
    """Threads may share one. A later deployment, rollback or learning is taken over between two calls."""

    def __init__(self, root: str, threads: int) -> None:
        self._root, self._threads = root, threads
        self._taking_over = threading.Lock()
        self._refused: Served | None = None
        self._loaded = _load(look(root), threads)
        self._counters = _counters(self._loaded)

    def __call__(self, *inputs: Any, **named: Any) -> np.ndarray:
        """The first output for one example, or, with one more axis, for several.

        Inputs are given in the order of the ports or by their names: see `inputs.entry_of`. Raises EdgeRuntimeError for
        what does not fit them.
        """
        now = self._newest()
        try:
            rows, alone = rows_of_all(now.entries, inputs, named)
        except EdgeRuntimeError:
            self._counters.refused()
            raise
        count = len(rows[0])
        if count == 1:
            output = self._timed(now, rows)
            return output[0] if alone else output
        return np.concatenate([self._timed(now, [values[row : row + 1] for values in rows]) for row in range(count)])

    @property
    def classes(self) -> list[str]:
        """Of what is served now, in the order of its logits."""
        return list(self._newest().manifest["classes"])

    def info(self) -> dict[str, Any]:
        """What is served: release, runtime, whether it learned, ports, classes, how inputs are made of files."""
        now = self._newest()
        told = {key: now.manifest.get(key) for key in ("runtime", "runtime_version", "measure", "preprocessing")}
        return {
            "release": now.served.digest,
            "adapted": now.served.state is not None,
            "inputs": now.manifest["inputs"],
            "outputs": now.manifest["outputs"][:1],
            "classes": list(now.manifest["classes"]),
            "learns": now.manifest["learn"] is not None,
            **told,
        }

    def reload(self) -> bool:
        """Take over what the board serves now; whether that was another. Raises EdgeRuntimeError, and serves on."""
        with self._taking_over:
            served = look(self._root)
            if served == self._loaded.served:
                return False
            before, self._loaded, self._refused = self._loaded, _load(served, self._threads), None
            if before.served.digest != served.digest:
                self._counters.close()
                self._counters = _counters(self._loaded)
            return True

    def learn(
        self,
        inputs: Any,
        targets: Any,
        *,
        steps: int | None = None,
        seed: int = 0,
        on_event: Callable[..., None] = lambda event, **fields: None,
    ) -> Learned:
        """Learn anew, from these examples alone, on top of the release as installed; calls go on meanwhile.

        `inputs`: (N, ...) of the only input, or such arrays by name. `targets`: names of classes, or an array as the
        release's target is. It serves from then on if examples that were held out in turn gain. Raises
        EdgeRuntimeError for what does not fit, and where the release does not learn.
        """
        now = self._newest()
        with learned.alone(now.served):
            support = support_of(now.manifest, now.entries, inputs, targets)
            usual = now.manifest["learn"].get("usual", {})
            spec = {
                "release": now.served.folder,
                "threads": self._threads,
                "seed": seed,
                "lr": LEARNING_RATE,
                "jitter": usual.get("jitter") or {port["name"]: JITTER for port in now.manifest["inputs"]},
            }
            wanted = steps or usual.get("steps") or USUAL_STEPS
            try:
                learner = Learner(spec, now.manifest, load_tensors(now.served.folder, None), support)
                result, values = learn(learner, support["strata"], wanted, on_event)
                if values is not None:
                    learned.keep(now.served, values)
            except (OSError, ValueError) as error:
                raise EdgeRuntimeError(str(error), where=self._root, next="It serves what it served.") from None
        self.reload()
        return Learned(result["accepted"], result["reason"], learner.examples, result["steps"], result["held_out"])

    def undo(self) -> bool:
        """Serve what was served before the last learning; whether that, too, was learned. Raises EdgeRuntimeError."""
        now = self._newest()
        with learned.alone(now.served):
            left = learned.undo(now.served)
        self.reload()
        return left

    def _timed(self, now: _Loaded, rows: list[np.ndarray]) -> np.ndarray:
        started = time.perf_counter()
        [output, *_] = now.run(rows)
        self._counters.called(time.perf_counter() - started, output)
        return output

    def _newest(self) -> _Loaded:
        """What the board serves now; what it served if that cannot be loaded, which is warned of once."""
        now = self._loaded
        served = None
        try:
            served = look(self._root)
            if served not in (now.served, self._refused):
                self.reload()
        except EdgeRuntimeError as error:
            self._refused = served
            warnings.warn(f"still serving release {now.served.digest[:12]}: {error}", stacklevel=3)
        return self._loaded


def _counters(loaded: _Loaded) -> Counters:
    """`measure` is accuracy where outputs are logits of classes, one of which is right."""
    accepted = None
    if loaded.manifest.get("measure") == "accuracy":
        first = "outputs." + loaded.manifest["outputs"][0]["name"]
        with suppress(OSError, ValueError, KeyError):
            accepted = read_arrays(os.path.join(loaded.served.folder, "acceptance.safetensors"))[first]
    return Counters(loaded.served.root, loaded.served.digest, accepted)


def _load(served: Served, threads: int) -> _Loaded:
    manifest, tensors = read(served)
    try:
        run = load_inference(served.folder, manifest, tensors, threads)
    except ImportError as error:
        raise EdgeRuntimeError(
            f"its runtime cannot be imported: {error}", where=served.folder, next="pip install onnxruntime numpy"
        ) from None
    except Exception as error:  # a runtime raises what it likes
        raise EdgeRuntimeError(
            f"release {served.digest[:12]} cannot be loaded: {error}",
            where=served.root,
            next="This package runs releases for ONNX Runtime: deploy --runtime onnxruntime.",
        ) from None
    entries = [entry_of(port, manifest.get("preprocessing")) for port in manifest["inputs"]]
    return _Loaded(served, manifest, entries, run)
