"""Learn from the support examples on this board, and write what was accepted. The examples never leave the board."""

import os

import numpy as np

from edge_runtime.checkpoint import Checkpoint, key_of, unfinished_beside
from edge_runtime.classes import rows_of_release
from edge_runtime.digests import read_manifest
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.inputs import entries_of
from edge_runtime.learner import Learner
from edge_runtime.learning import Deadline, learn
from edge_runtime.release import load_tensors
from edge_runtime.support import read_npz, support_of
from edge_runtime.tensors import read_arrays, write_arrays

from .facts import peak_bytes


def adapt(spec, emit):  # type: ignore[no-untyped-def]
    """`spec`: release, support (file of `inputs.*`, `targets.*`, `strata`; or an .npz as applications have it), adapted
    (file to write), steps, lr, seed, threads, jitter: noise for an input, by its name, as a share of its deviation;
    seconds and bytes of memory that it may take, if any; how much it may forget, if not what the release says; and
    by which method it learns (`edge_runtime.methods`), if not by any; and which class each row of the head is of, if
    not as the release says.
    """
    deadline = Deadline(spec.get("seconds"))
    manifest = read_manifest(spec["release"])
    tensors = load_tensors(spec["release"], None)
    rows = spec.get("classes") or rows_of_release(manifest)
    support = _support(spec["support"], manifest, spec["release"], rows)
    learner = Learner(spec, manifest, tensors, support)
    most = spec.get("memory_bytes")

    def hinders() -> "str | None":
        taken = peak_bytes()
        if most is None or taken is None or taken <= most:
            return None
        return "learning takes {:.1f} MB of memory, and may take {:.1f}".format(taken / 1e6, most / 1e6)

    key = key_of(os.path.basename(os.path.normpath(spec["release"])), spec, spec["steps"], support)
    checkpoint = Checkpoint(unfinished_beside(spec["adapted"]), key)
    result, learned = learn(learner, support["strata"], spec["steps"], emit, deadline, hinders, checkpoint)
    if learned is not None:
        write_arrays(spec["adapted"], learned)
    checkpoint.drop()
    return {
        **result,
        "examples": learner.examples,
        "trained_values": int(sum(tensors[name].size for name in learner.names)),
        "step_ms": float(np.median(learner.step_ms)) if learner.step_ms else None,
        "peak_bytes": peak_bytes(),
    }


def _support(path, manifest, folder, rows):  # type: ignore[no-untyped-def]
    if not path.endswith(".npz"):
        return read_arrays(path)
    try:
        return support_of(manifest, entries_of(manifest, folder), *read_npz(path), rows)
    except EdgeRuntimeError as error:
        raise EdgeRuntimeError(error.what, where=path, next=error.next) from None
