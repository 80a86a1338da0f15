"""int8, forms and both together against what a user has in ten lines: a ResNet at the latency of its static int8.

    PYTHONPATH=. python benchmarks/precision.py --data ../shared/data --board emulated-pi-5
    PYTHONPATH=. python benchmarks/precision.py --data ../shared/data --board emulated-pi-5 --add --predictions 20
    PYTHONPATH=. python benchmarks/precision.py --data ../shared/data --board emulated-pi --network resnet56
    PYTHONPATH=. python benchmarks/precision.py --data ../shared/data --other-tools VENV/bin/python   # nncf, olive-ai
    PYTHONPATH=. python benchmarks/precision.py --data ../shared/data --quick

ResNet-20 (or 56) on CIFAR-10 (JPEGs). Every row is one program: timed whole on the board, and judged on the same test
images by ONNX Runtime on this machine, which computes int8 as the board does.

- dense: fp32 as it was trained;
- plain int8: `onnxruntime.quantization.quantize_static`, per channel, 512 training images, extremes; signed or unsigned
  activations, whichever the board runs faster;
- ours: what `deploy` puts on the board within that latency, or 1.5 and 2 times less, without a flag; also what its
  features tell the network's own head, where `deploy` took prototypes of the few support examples for its head;
- DepGraph, and a uniformly narrower network: Torch-Pruning's widths, the largest whose int8 program keeps the same
  latency, recovered as ours is (losses, examples, variations, rates, steps), then plain int8;
- nncf, olive: static int8 by these tools, in an environment of theirs (`--other-tools`).

Minutes are those on the wall, with the work of this process's processor beside them: `load` tells who else was at work.
Every row is written when it is there: `--add` goes on after an interruption, and makes what is missing.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, Figure, write
from rich.console import Console
from rich.table import Table

from benchmarks.mixed_models import predict_and_time
from benchmarks.models import resnet
from benchmarks.models.data import VARIABLE, load_arrays
from benchmarks.own_board import own_board
from benchmarks.precision_rows import Bench, Row, dense_row, other_tool_row, our_row, plain_row, rival_rows
from toolkit.progress import Silent
from toolkit.request import USUAL_RECOVERY_STEPS, Request
from toolkit.stages import Watch, load
from toolkit.targets import Target
from toolkit.tasks import Examples

import torch  # isort: skip  # toolkit is imported before torch: it sets how OpenMP waits

_SEED = 7
_CALIBRATION = 512
_NETWORKS = {"resnet20": resnet.resnet20, "resnet56": resnet.resnet56}
_METHODS = ("ours", "DepGraph", "narrower")
_TOOLS = ("nncf", "olive")
# How many times less than plain int8 -> better than whom, and by how much.
_GOALS = {1.0: ("plain int8", 0.0), 1.5: ("the best rival", 0.01), 2.0: ("the best rival", 0.03)}
_NEAR, _NEAR_GOAL = 0.05, 0.95


def main() -> None:
    """Measure what is missing, print the table, write results/precision-<network>-<board>.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the CIFAR-10 images and the network's weights")
    parser.add_argument("--network", choices=_NETWORKS, default="resnet20")
    parser.add_argument("--board", default="host", help="host, emulated-pi or emulated-pi-5")
    parser.add_argument("--recovery-steps", type=int, default=USUAL_RECOVERY_STEPS, help="for ours and for rivals")
    parser.add_argument("--times-less", type=float, nargs="+", default=[*_GOALS], help="than the latency of plain int8")
    parser.add_argument("--methods", choices=_METHODS, nargs="*", default=_METHODS)
    parser.add_argument("--predictions", type=int, default=0, metavar="N", help="time so many random mixed allocations")
    parser.add_argument("--other-tools", metavar="PYTHON", help="python of an environment with nncf and olive-ai")
    parser.add_argument("--tests", type=int, default=10_000, help="test images")
    parser.add_argument("--add", action="store_true", help="keep the rows of the last time")
    parser.add_argument("--quick", action="store_true", help="ours and one rival at 1.5 times less, hardly trained")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    if arguments.quick:
        arguments.recovery_steps, arguments.tests, arguments.times_less = 10, 500, [1.5]
        arguments.methods = ["ours", "narrower"]
    started = time.monotonic()
    name = f"precision-{arguments.network}-{arguments.board}" + ("-quick" if arguments.quick else "")
    file = RESULTS / f"{name}.json"
    rows: list[Row] = []
    if arguments.add and file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        rows, started = before["rows"], started - before["conditions"]["wall_seconds"]
    with own_board(arguments.board) as target, tempfile.TemporaryDirectory() as root:
        if arguments.board == "host":  # whoever else deploys to this machine waits for nobody
            target = target.model_copy(update={"root": str(Path(root, "board"))})
        for row in _missing(_bench(arguments, target), arguments, list(rows)):
            print(row, flush=True)
            rows.append(row)
            write(name, _figures(rows), rows, seeds=[_SEED], started=started)
    write(name, _figures(rows), rows, seeds=[_SEED], started=started)
    _print(rows, name)


def _bench(arguments: argparse.Namespace, target: Target) -> Bench:
    request = Request(
        f"benchmarks.models.resnet:{arguments.network}",
        f"benchmarks.models.resnet:{'task' if arguments.quick else 'task_of_all'}",
        "onnxruntime",
        seed=_SEED,
        channels=True,
        depth=True,
        precision="auto",
        recovery_steps=arguments.recovery_steps,
    )
    job = load(request, target, Watch(Silent()))
    assert job.task.general is not None
    calibration = job.task.general.x.tensors["x"][:_CALIBRATION]
    return Bench(target, request, _NETWORKS[arguments.network](), job, calibration, _drawn(arguments.tests))


def _missing(bench: Bench, arguments: argparse.Namespace, known: list[Row]) -> Iterator[Row]:
    """The rows that were asked for and are not known."""
    done = {(row["method"], row.get("times_less")): row for row in known}
    if ("dense", None) not in done:
        yield dense_row(bench)
    plain = done.get(("plain int8", None)) or plain_row(bench)
    if ("plain int8", None) not in done:
        yield plain
    budgets = {times_less: plain["median_ms"] / times_less for times_less in arguments.times_less}
    for method in arguments.methods:
        missing = {times_less: ms for times_less, ms in budgets.items() if (method, times_less) not in done}
        if method == "ours":
            yield from (our_row(bench, times_less, plain) for times_less in missing)
        else:
            yield from rival_rows(bench, method, missing, plain["form"])
    if arguments.other_tools:
        missing = [tool for tool in _TOOLS if (tool, None) not in done]
        yield from (other_tool_row(bench, tool, plain["form"], arguments.other_tools) for tool in missing)
    if arguments.predictions and ("prediction", None) not in done:
        for row in predict_and_time(bench.request, bench.target, arguments.predictions, _SEED):
            yield {"method": "prediction", **row}


def _drawn(count: int) -> Examples:
    """As many random test images: they are sorted by class."""
    arrays = load_arrays("cifar10_jpeg.npz")
    labels = arrays["test_labels"].astype(np.int64)
    index = np.random.default_rng(_SEED).permutation(len(labels))[:count]
    images = resnet.normalise(arrays["test_images"][index])
    return Examples(torch.from_numpy(images), torch.from_numpy(labels[index]))


def _figures(rows: list[Row]) -> dict[str, Figure]:
    """The whole frontier, ours against the best rival at each latency, and the share of predictions that came true."""
    judged = {(row["method"], row.get("times_less")): row for row in rows if "accuracy" in row}
    dense_ms = judged["dense", None]["median_ms"]
    figures = {}
    for (method, times_less), row in judged.items():
        name = method + (f", {times_less:g} times less" if times_less else "")
        said = f"{row['median_ms']:.4g} ms, {dense_ms / row['median_ms']:.2f} times as fast as dense; "
        said += f"{row['bytes']:,} bytes; {row['minutes']:.1f} minutes"
        said += f"; {row['steps']} steps of recovery" if "steps" in row else ""
        if "accuracy_by_own_head" in row:
            said += f"; its head is {row['head']}, by the network's own it has {row['accuracy_by_own_head']:.2%}"
        goal = "as fast as asked" if times_less else "reported"
        figures[f"{name}: accuracy"] = Figure(row["accuracy"], goal, row.get("within", True), said)
    for times_less, (whom, points) in _GOALS.items():
        rivals = [row for (method, at), row in judged.items() if method != "ours" and at == times_less]
        against = rivals if whom != "plain int8" else [judged["plain int8", None]] if len(judged) > 1 else []
        ours = judged.get(("ours", times_less))
        if ours and against:
            best = max(against, key=lambda row: row["accuracy"])
            gained = ours["accuracy"] - best["accuracy"]
            said = f"{ours['accuracy']:.2%} ({ours['accuracy_by_own_head']:.2%} by the network's own head) against "
            said += f"{best['accuracy']:.2%} ({best['method']})"
            met = gained >= points and ours["within"]
            figures[f"ours over {whom}, {times_less:g} times less"] = Figure(gained, f">= {points}, as fast", met, said)
    errors = np.array([row["error"] for row in rows if row["method"] == "prediction"])
    if len(errors):
        share = float(np.mean(np.abs(errors) <= _NEAR))
        said = f"{len(errors)} random allocations that nothing was fitted on; mean error {errors.mean():+.1%}, "
        said += f"largest {np.abs(errors).max():.1%} of the measured median"
        figures["predicted within 5 %"] = Figure(share, f">= {_NEAR_GOAL}", share >= _NEAR_GOAL, said)
    return figures


def _print(rows: list[dict[str, Any]], name: str) -> None:
    table = Table(title=name)
    for column in ("method", "times less", "median", "accuracy", "bytes", "minutes"):
        table.add_column(column, justify="right")
    for row in (each for each in rows if each["method"] != "prediction"):
        method = row["method"], f"{row.get('times_less', '')}"
        if "error" in row:
            table.add_row(*method, row["error"], "", "", "")
            continue
        late = "" if row.get("within", True) else " (not within)"
        cells = f"{row['median_ms']:.3f} ms{late}", f"{row['accuracy']:.2%}", f"{row['bytes']:,}"
        table.add_row(*method, *cells, f"{row['minutes']:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
