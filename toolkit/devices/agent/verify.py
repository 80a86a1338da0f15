"""Prove an installed release on this board: digests, outputs against the host's, then latency and peak memory."""

import numpy as np

from .bench import timed
from .conditions import conditions, conditions_at_work
from .digests import corrupt_files, read_manifest
from .facts import peak_bytes
from .release import load_inference, load_tensors
from .tensors import read_arrays


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
    difference = 0.0
    for x, logits, features in zip(accepted["x"], accepted["logits"], accepted["features"]):
        for got, expected in zip(run([x[None]]), (logits, features)):
            difference = max(difference, float(np.abs(got[0] - expected).max()))
            if not np.isfinite(got).all():
                difference = float("inf")
    result = timed(run, [accepted["x"][:1]], spec)
    return {
        "corrupt": [],
        "max_abs_difference": difference,
        "peak_bytes": peak_bytes(),
        "conditions": {"before": before, "after": conditions()},
        **result,
    }
