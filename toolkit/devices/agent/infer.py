"""Run the installed release on given inputs, one at a time as the application would."""

import numpy as np

from .digests import read_manifest
from .facts import peak_bytes
from .release import load_inference, load_tensors
from .tensors import read_arrays, write_arrays


def infer(spec, emit):  # type: ignore[no-untyped-def]
    """`spec`: release, adapted, inputs (tensors file with x), outputs (file to write), threads."""
    manifest = read_manifest(spec["release"])
    run = load_inference(spec["release"], manifest, load_tensors(spec["release"], spec.get("adapted")), spec["threads"])
    x = read_arrays(spec["inputs"])["x"]
    logits = [run([example[None]])[0][0] for example in x]
    write_arrays(spec["outputs"], {"logits": np.stack(logits).astype(np.float32)})
    return {"examples": len(x), "peak_bytes": peak_bytes()}
