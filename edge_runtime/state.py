"""One state of what a board serves, loaded: it stays what it is, whatever is deployed or learned meanwhile."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .classes import Rows, names_of, rows_of_classes
from .counters import Counters
from .errors import EdgeRuntimeError
from .inputs import Entry, entries_of, rows_of_all
from .program import Program
from .release import load_inference
from .served import Served, read
from .tensors import read_arrays


@dataclass(frozen=True)
class State:
    """A release with what was learned on top of it."""

    served: Served
    manifest: dict[str, Any]
    entries: list[Entry]
    run: Program
    counters: Counters
    rows: Rows

    def __call__(self, /, *inputs: Any, **named: Any) -> np.ndarray:
        """As `Model` does."""
        try:
            rows, alone = rows_of_all(self.entries, inputs, named)
            if len(rows[0]) == 1:
                output = self._timed(rows)
            else:
                parts = [self._timed([each[row : row + 1] for each in rows]) for row in range(len(rows[0]))]
                output = np.concatenate(parts)
            if self._places is not None:
                output = output[:, self._places]
            return output[0] if alone else output
        except EdgeRuntimeError:
            self.counters.refused()
            raise

    @property
    def classes(self) -> list[str]:
        """In the order of the logits."""
        return names_of(self.rows)

    @cached_property
    def _places(self) -> list[int] | None:
        """Rows of the head that are of classes, where some are not."""
        places = [place for place, name in enumerate(self.rows) if name is not None]
        return places if len(places) < len(self.rows) else None

    def info(self) -> dict[str, Any]:
        """Release, runtime, whether it learned, ports, classes, how inputs are made of files."""
        told = {key: self.manifest.get(key) for key in ("runtime", "runtime_version", "measure", "preprocessing")}
        return {
            "release": self.served.digest,
            "adapted": self.served.state is not None,
            "inputs": self.manifest["inputs"],
            "outputs": [self._output()],
            "classes": self.classes,
            "learns": self.manifest["learn"] is not None,
            **told,
        }

    def _output(self) -> dict[str, Any]:
        first: dict[str, Any] = self.manifest["outputs"][0]
        return first if self._places is None else {**first, "shape": [len(self._places)]}

    def _timed(self, rows: list[np.ndarray]) -> np.ndarray:
        started = time.perf_counter()
        try:
            [output, *_] = self.run(rows)
        except Exception as error:  # a runtime raises what it likes: of tokens that it does not know, for one
            raise EdgeRuntimeError(
                f"the network cannot take that: {str(error)[:300]}",
                where="model(...)",
                next="Give what it knows.",
            ) from None
        self.counters.called(time.perf_counter() - started, output)
        return output


def load_state(served: Served, threads: int, before: State | None = None) -> State:
    """Read it, and go on counting where `before` is of the same release. Raises EdgeRuntimeError."""
    manifest, tensors = read(served)
    if manifest["runtime"] != "onnxruntime":
        raise EdgeRuntimeError(
            f"release {served.digest[:12]} is for {manifest['runtime']}, this package runs those for ONNX Runtime",
            where=served.root,
            next=f"Call it by {served.root}/lib/libedge_runtime.so, or deploy --runtime onnxruntime.",
        )
    try:
        run, rows = load_inference(served.folder, manifest, tensors, threads), rows_of_classes(manifest, tensors)
    except ImportError as error:
        raise EdgeRuntimeError(
            f"its runtime cannot be imported: {error}", where=served.folder, next="pip install onnxruntime numpy"
        ) from None
    except Exception as error:  # a runtime raises what it likes
        raise EdgeRuntimeError(
            f"release {served.digest[:12]} cannot be loaded: {str(error)[:300]}",
            where=served.adapted if served.state else served.folder,
            next="deploy adapt --target NAME --undo, if it learned; or deploy it again.",
        ) from None
    if before and before.served.digest == served.digest:  # what was read for its inputs stays read
        return State(served, manifest, before.entries, run, before.counters, rows)
    return State(served, manifest, entries_of(manifest, served.folder), run, _counters(served, manifest), rows)


def _counters(served: Served, manifest: dict[str, Any]) -> Counters:
    """`measure` is accuracy where outputs are logits of classes, one of which is right."""
    accepted = None
    if manifest.get("measure") == "accuracy":
        with suppress(Exception):  # it is only compared with
            arrays = read_arrays(os.path.join(served.folder, "acceptance.safetensors"))
            accepted = arrays["outputs." + manifest["outputs"][0]["name"]]
    return Counters(served.root, served.digest, accepted)
