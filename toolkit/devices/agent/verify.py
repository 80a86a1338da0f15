"""Prove an installed release on this board: digests, outputs against the host's, then latency and peak memory."""

import numpy as np

from edge_runtime.digests import corrupt_files, read_manifest
from edge_runtime.release import load_inference, load_tensors
from edge_runtime.tensors import read_arrays

from .bench import timed
from .conditions import conditions, conditions_at_work
from .difference import difference
from .facts import peak_bytes


def verify(spec, emit):  # type: ignore[no-untyped-def]
    """`spec`: release, digest, threads, warmups, runs, budget_ms. Measures the release as shipped, not as adapted."""
    folder = spec["release"]
    corrupt = corrupt_files(folder, spec["digest"])
    if corrupt:
        return {"corrupt": corrupt}
    manifest = read_manifest(folder)
    before = conditions_at_work()
    run = load_inference(folder, manifest, load_tensors(folder, None), spec["threads"])
    accepted = read_arrays(folder + "/acceptance.safetensors")
    inputs = [accepted["inputs." + port["name"]] for port in manifest["inputs"]]
    expected = [accepted["outputs." + port["name"]] for port in manifest["outputs"]]
    given = [run([values[row : row + 1] for values in inputs]) for row in range(len(inputs[0]))]
    outputs = [np.concatenate(each) for each in zip(*given)]
    apart = [difference(got, wanted) for got, wanted in zip(outputs, expected)]
    result = timed(run, [values[:1] for values in inputs], spec)
    return {
        "corrupt": [],
        "max_abs_difference": max(absolute for absolute, _ in apart),
        "max_relative_difference": max(relative for _, relative in apart),
        "peak_bytes": peak_bytes(),
        "conditions": {"before": before, "after": conditions()},
        **result,
    }
