"""Tasks that are not classification, at half the dense latency: what of the dense score stays, and does a board learn?

    PYTHONPATH=. python benchmarks/other_tasks.py --data ../shared/data                           # emulated-pi-5
    PYTHONPATH=. python benchmarks/other_tasks.py --data ../shared/data --target host --tasks ink # one: no figures

Real data: which pixels of a page are ink (segmentation), by how many degrees a digit is turned (regression), which of
1,250 stored drawings is of the same character (embeddings). Each network is trained on first use, then deployed as
`deploy --speedup 2` does it, all else by default. *General* is what the network was trained for, *task* what it is
shown examples of on the board: darker paper, a camera that is mounted askew, characters that nobody trained on.

What was deployed is kept in the cache folder: delete `benchmarks/other_tasks` there to start anew.
"""

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from record import Figure, write
from rich.console import Console
from rich.table import Table

from benchmarks.models.data import VARIABLE
from benchmarks.own_board import own_board
from toolkit import pipeline
from toolkit.cache import cache_folder
from toolkit.deployment import Deployment
from toolkit.errors import DeployError
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.targets import Target

_SHOTS = {"ink": 10, "angle": 40, "drawings": 5}
_SPEEDUP, _KEPT = 2.0, 0.97
_SEED = 7


def main() -> None:
    """Deploy, print, write results/other_tasks-<target>.json unless the tasks are only some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the drawings and digits")
    parser.add_argument("--target", default="emulated-pi-5")
    parser.add_argument("--tasks", nargs="+", choices=list(_SHOTS), default=list(_SHOTS))
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    started = time.monotonic()
    rows = _rows(arguments.tasks, arguments.target)
    _print(rows, arguments.target)
    if len(rows) == len(_SHOTS):
        write(f"other_tasks-{arguments.target}", _figures(rows), rows, seeds=[_SEED], started=started)


def _rows(tasks: list[str], name: str) -> list[dict[str, Any]]:
    """Those that were kept, and the others; a board is started only if one has to be deployed."""
    folder = cache_folder() / "benchmarks" / "other_tasks"
    folder.mkdir(parents=True, exist_ok=True)
    kept = {task: folder / f"{task}-{name}.json" for task in tasks}
    if missing := [task for task in tasks if not kept[task].exists()]:
        with own_board(name) as target:
            for task in missing:
                row = _row(task, target)
                kept[task].write_text(json.dumps(row), encoding="utf-8")
                print(row, flush=True)
    return [json.loads(file.read_text(encoding="utf-8")) for file in kept.values()]


def _row(task: str, target: Target) -> dict[str, Any]:
    module = f"benchmarks.models.other_tasks.{task}"
    request = Request(f"{module}:model", f"{module}:task", shots=_SHOTS[task], seed=_SEED)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = pipeline.deploy(request, target, Overrides(speedup=_SPEEDUP), Silent(), Path(folder))
    except DeployError as error:
        return {"task": task, "error": str(error)}
    return {"task": task, "seconds": round(time.monotonic() - started, 1), **_told(done)}


def _told(done: Deployment) -> dict[str, Any]:
    """What of a result the table shows."""
    accuracy = done.accuracy
    scores = accuracy.model_dump().items() if accuracy else ()
    return {
        "measure": done.measure,
        **{name: score["value"] for name, score in scores if score},
        "active": done.active,
        "accepted": done.adaptation.accepted if done.adaptation else None,
        "dense_ms": done.latency_ms.dense_median,
        "median_ms": done.latency_ms.median,
        "p95_ms": done.latency_ms.p95,
        "budget_ms": done.latency_ms.budget,
        "size_bytes": [done.size_bytes.dense, done.size_bytes.measured],
        "choices": dict(Counter(f"{each.choice} {each.precision}" for each in done.allocation)),
        "stages_s": {each.name: round(each.seconds, 1) for each in done.stages},
        "notes": done.notes,
        "refusals": [each.reason for each in done.refusals],
    }


def _figures(rows: list[dict[str, Any]]) -> dict[str, Figure]:
    figures = {}
    for row in rows:
        name, how = row["task"], row.get("measure", row.get("error", ""))
        faster = row["dense_ms"] / row["median_ms"] if row.get("median_ms") else float("nan")
        figures[f"{name}_times_less_latency"] = Figure(
            faster, f">= {_SPEEDUP:g}", faster >= _SPEEDUP, "of the dense median"
        )
        for of in ("general", "task"):
            kept = row[f"{of}_compact"] / row[f"{of}_dense"] if f"{of}_compact" in row else float("nan")
            figures[f"{name}_{of}_kept"] = Figure(kept, f">= {_KEPT}", kept >= _KEPT, f"{how}, of the dense score")
        learned = row["task_adapted"] - row["task_compact"] if row.get("task_adapted") is not None else float("nan")
        kept = bool(row.get("accepted")) and learned >= 0  # what is not accepted leaves the score as it was
        said = f"{how}, more after learning; {'' if row.get('accepted') else 'not '}accepted by the board"
        figures[f"{name}_learned_on_the_board"] = Figure(learned, "accepted, >= 0", kept, said)
    return figures


def _print(rows: list[dict[str, Any]], target: str) -> None:
    table = Table(title=f"At half the dense latency, {target}")
    columns = ("general_dense", "general_compact", "task_dense", "task_compact", "task_adapted")
    for column in ("task", "score", *columns, "dense ms", "ms", "seconds"):
        table.add_column(column.replace("_", " "), justify="right")
    for row in rows:
        if "error" in row:
            table.add_row(row["task"], row["error"])
            continue
        scores = [f"{row[each]:.3f}" if row.get(each) is not None else "–" for each in columns]
        times = [f"{row[each]:.3f}" if row[each] else "–" for each in ("dense_ms", "median_ms")]
        table.add_row(row["task"], row["measure"], *scores, *times, f"{row['seconds']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
