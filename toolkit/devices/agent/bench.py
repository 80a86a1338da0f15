"""Time programs in one process: load, warm up, repeat; median, p95 and minimum of single calls."""

import time

import numpy as np

from .digests import sha256
from .facts import conditions, peak_bytes
from .runtime import load

_CALLS_AT_LEAST = 10


def bench(spec, emit):  # type: ignore[no-untyped-def]
    """`spec`: runtime, threads, warmups, runs, budget_ms, programs: [{id, path, inputs: [shape], holes}].

    Emits one `measured` line a program. `budget_ms` bounds the time one program is repeated for: big ones get
    fewer runs.
    """
    before = conditions()
    for program in spec["programs"]:
        emit("measured", **measure(spec, program))
    return {"peak_bytes": peak_bytes(), "conditions": {"before": before, "after": conditions()}}


def measure(spec, program):  # type: ignore[no-untyped-def]
    """Load and time one program on random inputs (and random holes where no values are given)."""
    random = np.random.default_rng(0)

    def values(shape):  # type: ignore[no-untyped-def]
        return random.standard_normal(shape).astype(np.float32)

    holes = {name: values(shape) for name, shape in program.get("holes", {}).items()}
    started = time.perf_counter()
    run = load(spec["runtime"], program["path"], holes, spec["threads"])
    load_ms = (time.perf_counter() - started) * 1e3
    inputs = [values(shape) for shape in program["inputs"]]
    return {"id": program["id"], "load_ms": load_ms, "sha256": sha256(program["path"]), **timed(run, inputs, spec)}


def timed(run, inputs, spec):  # type: ignore[no-untyped-def]
    """Warm up, then time single calls; times in milliseconds."""
    for _ in range(spec["warmups"]):
        run(inputs)
    started = time.perf_counter()
    run(inputs)
    one_ms = (time.perf_counter() - started) * 1e3
    runs = max(_CALLS_AT_LEAST, min(spec["runs"], int(spec["budget_ms"] / max(one_ms, 1e-3))))
    times = np.empty(runs)
    for index in range(runs):
        started_ns = time.perf_counter_ns()
        run(inputs)
        times[index] = (time.perf_counter_ns() - started_ns) / 1e6
    return {
        "median_ms": float(np.median(times)),
        "p95_ms": float(np.percentile(times, 95)),
        "min_ms": float(times.min()),
        "runs": runs,
        "warmups": spec["warmups"],
    }
