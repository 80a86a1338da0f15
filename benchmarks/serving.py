"""What `edge_runtime` adds to a call, and whether calls survive what is deployed and learned meanwhile.

    PYTHONPATH=. python benchmarks/serving.py            # about two minutes
    PYTHONPATH=. python benchmarks/serving.py --quick    # fewer calls and changes

The bundled digits example is deployed to a folder of this machine, and a second release of it beside. Calls of
`edge_runtime` and of a bare ONNX Runtime session on the same release take turns, so that both see the same machine.
Then one thread calls a hundred times a second while releases are swapped, and while the model learns.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from record import Figure, write

import edge_runtime
from edge_runtime.plain import write_plain
from edge_runtime.served import look
from edge_runtime.tensors import read_arrays
from toolkit import pipeline
from toolkit.devices import hold
from toolkit.devices.releases import release as releases
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.targets import Target, load_target

_CALLS_A_SECOND, _SESSIONS = 100.0, 8


def main() -> None:
    """Measure, print the table, write results/serving.json (or serving-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer calls and changes")
    quick = parser.parse_args().quick
    started = time.monotonic()
    rounds, changes = (40, 20) if quick else (400, 200)
    with tempfile.TemporaryDirectory() as folder:
        target = load_target("host").model_copy(update={"root": f"{folder}/board"})
        active = _two_releases(target, Path(folder))
        model = edge_runtime.load(target.root)
        arrays = read_arrays(f"{target.root}/releases/{active}/acceptance.safetensors")
        x, expected = arrays["inputs.x"][0], arrays["outputs.logits"][0]
        added = _added_us(x, target.root, rounds)
        swapped = _swapped(model, x, expected, target, changes)
        learning = _learning(model, x, quick)
    prefix = "quick_" if quick else ""
    figures = {
        f"{prefix}added_us": Figure(
            added["added_us"],
            "<= 20, or 3 % of a call",
            added["added_us"] <= max(20, 0.03 * added["bare_us"]),
            f"median of {rounds} pairs of 50 calls, {_SESSIONS} models and sessions; bare {added['bare_us']:.0f} us",
        ),
        f"{prefix}wrong_or_failed_calls": Figure(
            swapped["failed"],
            "0",
            swapped["failed"] == 0,
            f"{swapped['calls']} calls at {_CALLS_A_SECOND:.0f} a second while releases were swapped {changes} times",
        ),
        f"{prefix}learning_p99_ms": Figure(
            learning["learning_p99_ms"],
            "told",
            True,
            f"{learning['learning_calls']} calls while it learned; {learning['idle_p99_ms']:.2f} ms when it did not",
        ),
    }
    rows: list[dict[str, Any]] = [
        {"what": "added", **added},
        {"what": "swapped", **swapped},
        {"what": "learning", **learning},
    ]
    write("serving" + ("-quick" if quick else ""), figures, rows, seeds=[0], started=started)


def _two_releases(target: Target, folder: Path) -> str:
    """The example, and the same with another name for a class, whose digest this is: it is active."""
    request = Request(recovery_steps=20, adapt=False)
    pipeline.deploy(request, target, Overrides(latency_ms=1e4, size_bytes=20_000_000), Silent(), folder / "runs")
    first = look(target.root).digest
    bundle = folder / "second"
    bundle.mkdir()
    for file in (Path(target.root) / "releases" / first).iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    (bundle / "manifest.json").write_text((bundle / "manifest.json").read_text().replace('"7"', '"seven"'))
    with hold(target) as home:
        second = releases.install(home, bundle).digest
        releases.activate(home, second)
    return second


def _added_us(x: np.ndarray, root: str, rounds: int) -> dict[str, float]:
    """Medians in us: a call by `edge_runtime`, a bare one, what is asked of the disk, the differences of pairs.

    Of several models and sessions: two sessions of one program differ by more than a call may add, each for good.
    """
    pairs = []
    for _ in range(_SESSIONS):
        model, session = edge_runtime.load(root), _bare(str(write_plain(look(root), None)))
        name, row = session.get_inputs()[0].name, x[None]
        calls = {"bare": partial(session.run, None, {name: row}), "ours": partial(model, x)}
        for turn in range(rounds // _SESSIONS):  # each first in its turn: the caches are what the other left
            took = {which: _us(calls[which]) for which in (("bare", "ours") if turn % 2 else ("ours", "bare"))}
            pairs.append((took["ours"], took["bare"]))
    return {
        "edge_runtime_us": statistics.median(ours for ours, _ in pairs),
        "bare_us": statistics.median(bare for _, bare in pairs),
        "look_us": statistics.median(_us(lambda: look(root)) for _ in range(rounds)),
        "added_us": statistics.median(ours - bare for ours, bare in pairs),
    }


def _us(call: Callable[[], Any]) -> float:
    """Of one of 50 calls."""
    started = time.perf_counter()
    for _ in range(50):
        call()
    return (time.perf_counter() - started) / 50 * 1e6


def _bare(folder: str) -> onnxruntime.InferenceSession:
    """As `edge_runtime` makes one: one thread, exact int8."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(f"{folder}/infer.onnx", options, disabled_optimizers=["WeightBiasQuantization"])


def _swapped(
    model: edge_runtime.Model, x: np.ndarray, expected: np.ndarray, target: Target, changes: int
) -> dict[str, float]:
    """Calls at a steady rate while two releases, which compute the same, take turns."""
    done, times, failed = threading.Event(), list[float](), list[str]()

    def right(output: np.ndarray) -> bool:
        return bool(np.allclose(output, expected, rtol=1e-3, atol=1e-4))

    caller = threading.Thread(target=_call, args=(model, x, right, done, times, failed))
    caller.start()
    with hold(target) as home:
        for _ in range(changes):
            releases.rollback(home)
            time.sleep(0.05)
    done.set()
    caller.join()
    return {"calls": len(times), "failed": len(failed), "p50_ms": _quantile(times, 0.5), "longest_ms": max(times)}


def _learning(model: edge_runtime.Model, x: np.ndarray, quick: bool) -> dict[str, float]:
    """Times of calls at a steady rate, for as long as the model learns, and for as long when it does not."""
    found = dict[str, float]()
    random = np.random.default_rng(0)
    classes = model.classes
    centres = random.normal(size=(len(classes), *x.shape)).astype(np.float32)
    support = np.concatenate([centres + 0.2 * random.normal(size=centres.shape).astype(np.float32) for _ in range(5)])
    took = 5.0
    for what in ("learning", "idle"):
        done, times, failed = threading.Event(), list[float](), list[str]()
        caller = threading.Thread(target=_call, args=(model, x, lambda output: True, done, times, failed))
        caller.start()
        started = time.monotonic()
        if what == "learning":
            model.learn(support, classes * 5, steps=5 if quick else 20)
            took = time.monotonic() - started
        else:
            time.sleep(took)
        done.set()
        caller.join()
        found |= {f"{what}_calls": len(times), f"{what}_failed": len(failed)}
        found |= {f"{what}_p50_ms": _quantile(times, 0.5), f"{what}_p99_ms": _quantile(times, 0.99)}
    return {**found, "learning_s": took}


def _call(
    model: edge_runtime.Model,
    x: np.ndarray,
    right: Callable[[np.ndarray], bool],
    done: threading.Event,
    times: list[float],
    failed: list[str],
) -> None:
    """A hundred times a second, until `done`; milliseconds of each, and what went wrong."""
    following = time.perf_counter()
    while not done.is_set():
        started = time.perf_counter()
        try:
            if not right(model(x)):
                failed.append("wrong")
        except Exception as error:
            failed.append(str(error))
        times.append((time.perf_counter() - started) * 1e3)
        following = max(following + 1 / _CALLS_A_SECOND, time.perf_counter())
        time.sleep(following - time.perf_counter() if following > time.perf_counter() else 0)


def _quantile(times: list[float], share: float) -> float:
    return float(np.quantile(times, share))


if __name__ == "__main__":
    main()
