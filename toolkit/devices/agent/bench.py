"""Time programs, each in a process of its own: load, warm up, repeat; median, p95 and minimum of single calls."""

import time

import numpy as np

from edge_runtime.digests import sha256
from edge_runtime.program import bring_in, load
from edge_runtime.quantise import quantise
from edge_runtime.tensors import read_arrays

from .apart import apart
from .conditions import conditions, conditions_at_work

_CALLS_AT_LEAST = 10
_PACED_CALLS = 20
_PACED_CALLS_AT_LEAST = 5
_PACED_S = 5


def bench(spec, emit):  # type: ignore[no-untyped-def]
    """`spec`: runtime, threads, warmups, runs, budget_ms, programs: [{id, path, holes} and inputs or example].

    `inputs` are shapes, filled with random values of `input_type`, float32 unless it says so; `example` has the `path`
    of a tensors file and the `names` of those that are given, in order, the first of each. A program may also say which
    `quantised_holes` it has.
    Emits one `measured` line a program, with the peak memory of a process that runs nothing else. `budget_ms` bounds
    the time one program is repeated for: big ones get fewer runs. With `rate_hz` each is also called that often a
    second, and idle between.
    """
    bring_in(spec["runtime"])
    before = conditions_at_work()
    for program in spec["programs"]:

        def work(peak, program=program):  # type: ignore[no-untyped-def]
            emit("measured", **measure(spec, program), peak_bytes=peak())

        apart(work)
    return {"conditions": {"before": before, "after": conditions()}}


def measure(spec, program):  # type: ignore[no-untyped-def]
    """Load and time one program on its example or random inputs, with random holes."""
    random = np.random.default_rng(0)

    def values(shape):  # type: ignore[no-untyped-def]
        return random.standard_normal(shape).astype(np.float32)

    quantised = program.get("quantised_holes", [])
    holes: "dict[str, np.ndarray]" = {}
    for name, shape in program.get("holes", {}).items():
        holes.update(quantise(name, values(shape)) if name in quantised else {name: values(shape)})
    started = time.perf_counter()
    run = load(spec["runtime"], program["path"], holes, spec["threads"])
    load_ms = (time.perf_counter() - started) * 1e3
    if "example" in program:
        given = read_arrays(program["example"]["path"])
        inputs = [given[name][:1] for name in program["example"]["names"]]
    else:
        inputs = [_of_type(values(shape), program.get("input_type", "float32")) for shape in program["inputs"]]
    return {"id": program["id"], "load_ms": load_ms, "sha256": sha256(program["path"]), **timed(run, inputs, spec)}


def _of_type(values, name):  # type: ignore[no-untyped-def]
    """Whole numbers spread over what an int8 or uint8 tensor holds, else the values themselves in that type."""
    if name in ("int8", "uint8"):
        values = np.clip(32 * values + (128 if name == "uint8" else 0), *((0, 255) if name == "uint8" else (-128, 127)))
    return values.astype(name)


def timed(run, inputs, spec):  # type: ignore[no-untyped-def]
    """Warm up, then time single calls; times in milliseconds.

    `busy_share` is this process's own processor time as a share of the time that passed: below one for a single
    thread, others had the processor meanwhile.
    """
    for _ in range(spec["warmups"]):
        run(inputs)
    runs = spec["runs"]
    if runs > _CALLS_AT_LEAST:
        one_ms = _call_ms(run, inputs)
        runs = min(runs, max(_CALLS_AT_LEAST, int(spec["budget_ms"] / max(one_ms, 1e-3))))
    times, busy = np.empty(runs), np.empty(runs)
    for index in range(runs):
        started_ns = time.process_time_ns()
        times[index] = _call_ms(run, inputs)
        busy[index] = (time.process_time_ns() - started_ns) / 1e6
    return {
        "median_ms": float(np.median(times)),
        "p95_ms": float(np.percentile(times, 95)),
        "min_ms": float(times.min()),
        "runs": runs,
        "warmups": spec["warmups"],
        # Of both, the one that a coarse processor clock or a single long pause hurts less.
        "busy_share": float(max(busy.sum() / times.sum(), np.median(busy) / np.median(times))),
        **(_paced(run, inputs, spec["rate_hz"], runs) if spec.get("rate_hz") else {}),
    }


def _paced(run, inputs, rate_hz, runs):  # type: ignore[no-untyped-def]
    """Calls at the application's rate: what it sees when clocks and caches go cold in between."""
    times = np.empty(min(runs, _PACED_CALLS, max(_PACED_CALLS_AT_LEAST, int(_PACED_S * rate_hz))))
    due = time.perf_counter()
    for index in range(len(times)):
        due += 1 / rate_hz
        time.sleep(max(0.0, due - time.perf_counter()))
        times[index] = _call_ms(run, inputs)
    return {
        "paced_rate_hz": rate_hz,
        "paced_median_ms": float(np.median(times)),
        "paced_p95_ms": float(np.percentile(times, 95)),
    }


def _call_ms(run, inputs):  # type: ignore[no-untyped-def]
    started_ns = time.perf_counter_ns()
    run(inputs)
    return (time.perf_counter_ns() - started_ns) / 1e6
