"""Run the installed release on given inputs, one at a time as the application would."""

import numpy as np

from edge_runtime.digests import read_manifest
from edge_runtime.release import load_inference, load_tensors
from edge_runtime.tensors import read_arrays, write_arrays

from .facts import peak_bytes


def infer(spec, emit):  # type: ignore[no-untyped-def]
    """`spec`: release, adapted, inputs (file of `inputs.*`), outputs (file to write: `outputs.*`), threads."""
    manifest = read_manifest(spec["release"])
    run = load_inference(spec["release"], manifest, load_tensors(spec["release"], spec.get("adapted")), spec["threads"])
    arrays = read_arrays(spec["inputs"])
    inputs = [arrays["inputs." + port["name"]] for port in manifest["inputs"]]
    first = manifest["outputs"][0]["name"]
    given = [run([values[row : row + 1] for values in inputs])[0] for row in range(len(inputs[0]))]
    write_arrays(spec["outputs"], {"outputs." + first: np.concatenate(given).astype(np.float32)})
    return {"examples": len(given), "peak_bytes": peak_bytes()}
