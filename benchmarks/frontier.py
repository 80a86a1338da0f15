"""Is what the allocator chooses, precisions and forms together, on or above the frontier of every single method?

    PYTHONPATH=. python benchmarks/frontier.py --data ../shared/data --board emulated-pi-5
    PYTHONPATH=. python benchmarks/frontier.py --data ../shared/data --board emulated-pi --networks digits
    PYTHONPATH=. python benchmarks/frontier.py --quick                       # digits, one seed and budget, this machine

A small attention network (scikit-learn's digits) and a depthwise-separable CNN (a new speaker's spoken digits), each
with a task of five examples a class, which the seed draws. Every row is one program in ONNX Runtime, timed whole on the
board and judged on the task's query examples by that very program on this machine, as installed: no board has learned.

- dense: fp32; static int8 of it (`onnxruntime.quantization`, ranges by 512 general examples, the faster form of
  activations) and dynamic int8 (weights alone are rounded beforehand);
- ranks, channels (ranks beside them), blocks (likewise): what `deploy` makes of that alone, in fp32, within a budget;
- ours: what it makes of all of it without a flag, within the same budget.

Budgets are the dense p95 over 1.5, 2.5 and 4; all that `deploy` makes recovers for the usual steps. Against ours at a
budget stand all rows of other methods that keep it. A method that cannot keep a budget has no row there. Finished rows
are kept: delete `benchmarks/frontier` in the cache folder to start anew.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import Figure, write
from rich.console import Console
from rich.table import Table

from benchmarks import plain_int8
from benchmarks.mixed_models import counted
from benchmarks.models.data import VARIABLE
from benchmarks.own_board import own_board
from benchmarks.precision_rows import time_whole
from edge_runtime.release import load_inference, load_tensors
from toolkit import pipeline
from toolkit.cache import cache_folder
from toolkit.devices import hold
from toolkit.errors import DeployError
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.stages import Watch, load
from toolkit.stages.load import Job
from toolkit.targets import Target

import torch  # isort: skip  # toolkit is imported before torch: it sets how OpenMP waits
from torch import nn  # isort: skip

_NETWORKS = {
    "digits": ("toolkit.examples.digits:model", "toolkit.examples.digits:task"),
    "speech": ("benchmarks.models.speech:model", "benchmarks.models.speech:task"),
}
_FORMS = {
    "ranks": {"channels": False, "depth": False},
    "channels": {"channels": True, "depth": False},
    "blocks": {"channels": False, "depth": True},
}
_BY_HAND = ("dense", "static int8", "dynamic int8")
_SEEDS, _TIMES_LESS = (0, 1, 2), (1.5, 2.5, 4.0)
_CALIBRATION = 512
# Two measurements of one program differ by less.
_SAME = 1.005

Row = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """A network with the task of one seed, on a board."""

    network: str
    seed: int
    target: Target
    request: Request
    job: Job


def main() -> None:
    """Make what is missing, print the table, write results/frontier-<board>.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the spoken digits")
    parser.add_argument("--board", default="host", help="host, emulated-pi or emulated-pi-5")
    parser.add_argument("--networks", choices=_NETWORKS, nargs="+", default=[*_NETWORKS])
    parser.add_argument("--quick", action="store_true", help="digits, one seed, one budget, ranks alone beside ours")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    quick, started = arguments.quick, time.monotonic()
    networks, seeds = (["digits"], _SEEDS[:1]) if quick else (arguments.networks, _SEEDS)
    budgets, forms = (_TIMES_LESS[:1], {"ranks": _FORMS["ranks"]}) if quick else (_TIMES_LESS, _FORMS)
    rows: list[Row] = []
    with own_board(arguments.board) as target, tempfile.TemporaryDirectory() as root:
        if arguments.board == "host":  # whoever else deploys to this machine waits for nobody
            target = target.model_copy(update={"root": str(Path(root, "board"))})
        for seed in seeds:
            for network in networks:
                for row in _rows(_bench(network, seed, target), budgets, forms):
                    print({key: row.get(key) for key in ("network", "seed", *_SHOWN, "error")}, flush=True)
                    rows.append(row)
    _print(rows)
    name = f"frontier-{arguments.board}" + ("-quick" if quick else "")
    write(name, _figures(rows), rows, seeds=list(seeds), started=started)


_SHOWN = ("method", "times_less", "p95_ms", "accuracy")


def _bench(network: str, seed: int, target: Target) -> Bench:
    request = Request(*_NETWORKS[network], "onnxruntime", seed=seed)
    return Bench(network, seed, target, request, load(request, target, Watch(Silent())))


def _rows(bench: Bench, budgets: tuple[float, ...], forms: dict[str, dict[str, bool]]) -> Iterator[Row]:
    """Those that are kept, and those that are made now."""
    kept = cache_folder() / "benchmarks" / "frontier" / f"{bench.target.name}-{bench.network}-{bench.seed}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, Row] = json.loads(kept.read_text()) if kept.exists() else {}
    wanted: dict[str, Callable[[], Row]] = {}
    programs = {} if known.keys() >= set(_BY_HAND) else _programs_by_hand(bench)
    for name in _BY_HAND:
        wanted[name] = partial(_as_it_is, bench, programs.get(name, []))
    for times_less in budgets:
        for form, offered in forms.items():
            alone = replace(bench.request, precision="fp32", **offered)
            wanted[f"{form}, {times_less:g}"] = partial(_deployed, bench, form, alone, times_less, known)
        wanted[f"ours, {times_less:g}"] = partial(_deployed, bench, "ours", bench.request, times_less, known)
    for name, make in wanted.items():
        if name not in known:
            row = make()
            known[name] = {"method": name.partition(",")[0], **row, "network": bench.network, "seed": bench.seed}
            kept.write_text(json.dumps(known))
        yield known[name]


def _programs_by_hand(bench: Bench) -> dict[str, list[bytes]]:
    """What a user makes of the dense network by hand, with the head that `deploy` starts the task with."""
    job = bench.job
    assert job.task.general is not None
    [example], [general] = job.example, job.task.general.x
    program = plain_int8.to_onnx(nn.Sequential(job.network.backbone, job.dense_head), example)
    images = general[torch.from_numpy(np.random.default_rng(bench.seed).permutation(len(general))[:_CALIBRATION])]
    static = [plain_int8.to_int8(program, images, form) for form in plain_int8.FORMS]
    return {"dense": [program], "static int8": static, "dynamic int8": [plain_int8.to_dynamic_int8(program)]}


def _as_it_is(bench: Bench, forms: list[bytes]) -> Row:
    """The faster of the forms that ONNX Runtime can run on that board."""
    timed, failed = [], ""
    for program in forms:
        try:
            [found] = time_whole(bench.target, bench.job, [program])
        except DeployError as error:
            failed = str(error)
            continue
        timed.append((found, program))
    if not timed:
        return {"error": failed}
    found, program = min(timed, key=lambda each: each[0].median_ms)
    accuracy = plain_int8.accuracy(plain_int8.runner(program), bench.job.task.query)
    return {"median_ms": found.median_ms, "p95_ms": found.p95_ms, "accuracy": accuracy, "bytes": len(program)}


def _deployed(bench: Bench, method: str, request: Request, times_less: float, known: dict[str, Row]) -> Row:
    """As `deploy --latency` does it, all but learning on the board."""
    watch, began = Watch(Silent()), time.monotonic()
    budget_ms = known["dense"]["p95_ms"] / times_less
    asked = {"method": method, "times_less": times_less, "budget_ms": budget_ms}
    try:
        with hold(bench.target) as home:
            done = pipeline.release(home, request, bench.target, Overrides(latency_ms=budget_ms), watch)
    except DeployError as error:
        return {**asked, "error": str(error), "minutes": round((time.monotonic() - began) / 60, 2)}
    folder, query = str(done.bundle.folder), bench.job.task.query
    infer = load_inference(folder, done.bundle.manifest, load_tensors(folder, None), 1)
    return {
        **asked,
        "median_ms": done.verified.measurement.median_ms,
        "p95_ms": done.verified.measurement.p95_ms,
        "accuracy": plain_int8.accuracy(lambda x: infer([x])[0], query),
        "bytes": done.bundle.inference_bytes,
        "choices": counted(done.planned.allocation.selection),
        "minutes": round((time.monotonic() - began) / 60, 2),
    }


def _figures(rows: list[Row]) -> dict[str, Figure]:
    """For each network, ours over the best other row within the same budget."""
    figures = {}
    for network in dict.fromkeys(row["network"] for row in rows):
        gaps, said = [], []
        for ours in (row for row in rows if row["network"] == network and row["method"] == "ours"):
            others = [row for row in rows if (row["network"], row["seed"]) == (network, ours["seed"])]
            within = [row for row in others if row["method"] != "ours" and _keeps(row, ours["budget_ms"])]
            if not within and "error" in ours:
                continue  # nobody reaches it
            best = max(within, key=lambda row: row["accuracy"], default={"accuracy": 0.0, "method": "nobody"})
            gaps.append(ours.get("accuracy", 0.0) - best["accuracy"])
            had = f"{ours['accuracy']:.1%}" if "accuracy" in ours else "nothing"
            said.append(f"{ours['times_less']:g}x seed {ours['seed']}: {had} / {best['accuracy']:.1%} {best['method']}")
        if gaps:
            mean = statistics.fmean(gaps)
            figures[f"{network}: ours over the best single method, mean"] = Figure(
                mean, ">= 0", mean >= 0, "; ".join(said)
            )
            figures[f"{network}: ... worst"] = Figure(min(gaps), "reported", True, f"of {len(gaps)} budgets and seeds")
    return figures


def _keeps(row: Row, budget_ms: float) -> bool:
    return "accuracy" in row and row["p95_ms"] <= _SAME * budget_ms


def _print(rows: list[Row]) -> None:
    table = Table(title="accuracy as installed, mean of seeds")
    for column in ("network", "method", "times less", "p95", "accuracy", "seeds"):
        table.add_column(column, justify="right")
    for key in dict.fromkeys((row["network"], row["method"], row.get("times_less")) for row in rows):
        of = [row for row in rows if (row["network"], row["method"], row.get("times_less")) == key]
        made = [row for row in of if "accuracy" in row]
        times_less = f"{key[2]:g}" if key[2] else ""
        if not made:
            table.add_row(*key[:2], times_less, "not reached", "", f"0 of {len(of)}")
            continue
        p95, accuracy = (statistics.fmean(row[name] for row in made) for name in ("p95_ms", "accuracy"))
        table.add_row(*key[:2], times_less, f"{p95:.3f} ms", f"{accuracy:.1%}", f"{len(made)} of {len(of)}")
    Console().print(table)


if __name__ == "__main__":
    main()
