"""Does the regression guard catch a model that got 3 % slower, and leave one alone that did not?

    PYTHONPATH=. python benchmarks/regression.py                         # 71 processes on the board: 5 to 25 minutes
    PYTHONPATH=. python benchmarks/regression.py --runtime executorch
    PYTHONPATH=. python benchmarks/regression.py --quick                 # five of each

One block of the digits' vision transformer on `emulated-pi`, whose clock counts instructions, through what the fixture
`regression` calls: `sample` and `compare`. The slowdown is planted in the model, as a wider hidden layer. Every run is
an agent process of its own.
"""

import argparse
import statistics
import sys
import time
from typing import Any

import torch
from record import Figure, write
from torch import nn

from benchmarks.own_board import own_board
from edge_runtime.guard import MAX_FORGETTING
from toolkit import stages
from toolkit.cache import digest
from toolkit.devices import Home, hold
from toolkit.examples.digits import DigitsViT
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.runtimes import RUNTIMES
from toolkit.runtimes.bundle import Bundle
from toolkit.stages.compress import Compacted
from toolkit.stages.probe import Board
from toolkit.targets import Target
from toolkit.testing.compare import TOLERANCE_INSTRUCTIONS, compare
from toolkit.testing.sample import sample

_HIDDEN, _SLOWER_HIDDEN = 768, 804


def dense() -> nn.Module:
    """The model as it was."""
    return _model(_HIDDEN)


def slower() -> nn.Module:
    """The same with a hidden layer as much wider as costs 3 % more instructions."""
    return _model(_SLOWER_HIDDEN)


def main() -> None:
    """Measure, print the table, write results/regression-RUNTIME.json (or regression-RUNTIME-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="five runs of each")
    parser.add_argument("--runtime", choices=list(RUNTIMES), default="onnxruntime")
    quick, runtime = parser.parse_args().quick, parser.parse_args().runtime
    started = time.monotonic()
    unchanged, planted = (5, 5) if quick else (50, 20)
    with own_board("emulated-pi") as target, hold(target) as home:
        rows = _runs(home, target, runtime, unchanged, planted)
    figures = _figures(f"{'quick_' if quick else ''}{runtime}", rows, unchanged, planted)
    write(f"regression-{runtime}{'-quick' if quick else ''}", figures, rows, seeds=[0], started=started)


def _runs(home: Home, target: Target, runtime: str, unchanged: int, planted: int) -> list[dict[str, Any]]:
    board, before = _install(home, target, runtime, "dense")
    _, after = _install(home, target, runtime, "slower")
    baseline = sample(board, before)
    if baseline.disturbed:  # `regression` refuses such a baseline, too
        sys.exit(f"{target.name}: {'; '.join(baseline.disturbed)}. Run again when nobody else works there.")
    rows = []
    for label, bundle, count in (("unchanged", before, unchanged), ("slower", after, planted)):
        for run in range(count):
            now = sample(board, bundle)
            found = compare(now, baseline)
            said: dict[str, Any] = {
                "verdict": found.verdict,
                "change": found.change,
                "low": found.low,
                "high": found.high,
            }
            said |= {"loads_ms": now.release_ms, "disturbed": now.disturbed}
            rows.append({"runtime": runtime, "release": label, "run": run, **said})
            print(f"{runtime} {label} {run}: {found.change:+.2%} {found.verdict}", flush=True)
    return rows


def _install(home: Home, target: Target, runtime: str, model: str) -> tuple[Board, Bundle]:
    """Export the model as it is, without compression, and put it on the board."""
    watch = stages.Watch(Silent())
    job = stages.load(Request(f"regression:{model}", "toolkit.examples.digits:task", runtime), target, watch)
    board = stages.probe(home, target, job, watch)
    as_it_is = Compacted(job.network.backbone, job.dense_head, digest(job.key, "as it is"))
    bundle = stages.export(job, board, as_it_is, MAX_FORGETTING, 0, watch)
    stages.install(board, bundle, None, watch)
    return board, bundle


def _figures(prefix: str, rows: list[dict[str, Any]], unchanged: int, planted: int) -> dict[str, Figure]:
    alarms = sum(row["verdict"] == "slower" for row in rows if row["release"] == "unchanged")
    caught = sum(row["verdict"] == "slower" for row in rows if row["release"] == "slower")
    changes = {label: [row["change"] for row in rows if row["release"] == label] for label in ("unchanged", "slower")}
    share = statistics.median(changes["slower"])
    widest = max(map(abs, changes["unchanged"]))
    how = (
        f"median of five loads against a baseline of one earlier process, tolerance {TOLERANCE_INSTRUCTIONS:.0%}; "
        f"planted: a hidden layer {_SLOWER_HIDDEN} instead of {_HIDDEN} wide, {share:+.2%} instructions in the median"
    )
    return {
        f"{prefix}_slowdowns_caught": Figure(caught, f"{planted} of {planted}", caught == planted, how),
        f"{prefix}_false_alarms": Figure(alarms, f"0 of {unchanged}", alarms == 0, how),
        f"{prefix}_widest_unchanged": Figure(
            widest,
            f"<= {TOLERANCE_INSTRUCTIONS}",
            widest <= TOLERANCE_INSTRUCTIONS,
            "largest |change| of the unchanged",
        ),
    }


def _model(hidden: int) -> nn.Module:
    torch.manual_seed(0)
    model = DigitsViT(depth=1)
    width = model.head.in_features
    for block in model.blocks:
        block.fc1, block.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
    return model.eval()


if __name__ == "__main__":
    main()
