"""Do budgets hold, and are they used? Deployments to an emulated board under random latency budgets.

    PYTHONPATH=. python benchmarks/budgets.py --data ../shared/data    # 60 deployments, the better part of an hour
    PYTHONPATH=. python benchmarks/budgets.py --quick                  # digits in ONNX Runtime, three budgets

Each budget is drawn between what the fastest allocation and the dense model take. The model is allocated for it,
exported, installed and accepted on the board as `deploy` does it; cores are not trained and the train step is left out,
neither of which moves the latency. A deployment that the board refuses counts as missed. What was deployed before is
not deployed again: delete `benchmarks/budgets` in the cache folder to start anew.
"""

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import Figure, write

from benchmarks.models.data import VARIABLE
from benchmarks.own_board import own_board
from benchmarks.random_models import MODELS
from toolkit import profiling
from toolkit.cache import cache_folder, digest
from toolkit.choice import Selection, all_dense
from toolkit.compression import ALLOCATORS, compress
from toolkit.devices import hold
from toolkit.devices.releases import release
from toolkit.profiling import Budget, Limit
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.runtimes import Program
from toolkit.runtimes.bundle import export_inference, read_bundle, write_bundle
from toolkit.stages import Watch, load, probe, profile
from toolkit.stages.learn import Learned, learn
from toolkit.stages.load import Job
from toolkit.stages.probe import Board
from toolkit.stages.settle import settle
from toolkit.stages.whole_models import time_wholes
from toolkit.targets import Target

_EACH = 10
_SEED = 3
_LEAST_USE = 0.9


def main() -> None:
    """Deploy, print, write results/budgets.json (or budgets-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the CIFAR-10 and FSDD files and weights")
    parser.add_argument("--quick", action="store_true", help="digits in ONNX Runtime, three budgets")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    quick, started = arguments.quick, time.monotonic()
    cases = [(model, runtime) for model in MODELS for runtime in ("onnxruntime", "executorch")]
    rows: list[dict[str, Any]] = []
    with own_board("emulated-pi") as target:
        for model, runtime in cases[:1] if quick else cases:
            rows += _deployments(model, runtime, target, 3 if quick else _EACH)
    use = float(np.median([row["p95_ms"] / row["budget_ms"] for row in rows]))
    held = sum(row["held"] for row in rows)
    prefix = "quick_" if quick else ""
    how = f"{len(rows)} random budgets over {len(cases[:1] if quick else cases)} models and runtimes, on the board"
    figures = {
        f"{prefix}deployments_within_budget": Figure(held, f"{len(rows)} of {len(rows)}", held == len(rows), how),
        f"{prefix}median_use_of_budget": Figure(use, f">= {_LEAST_USE}", use >= _LEAST_USE, "measured p95 over budget"),
    }
    write("budgets-quick" if quick else "budgets", figures, rows, seeds=[_SEED], started=started)


def _deployments(model: str, runtime: str, target: Target, count: int) -> list[dict[str, Any]]:
    watch = Watch(Silent())
    request = Request(*MODELS[model], runtime)
    kept = cache_folder() / "benchmarks" / "budgets" / f"{digest(model, runtime, target.name)[:16]}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    if len(rows) >= count:
        return rows[:count]
    job = load(request, target, watch)
    with hold(target) as home:
        board = probe(home, target, job, watch)
        learned = learn(board, job, profile(board, job, watch), request.curve, request.seed, watch)
        costs = learned.model.costs
        fastest = {name: min(row, key=lambda choice: row[choice].latency_ms) for name, row in costs.parts.items()}
        least = learned.model.upper_ms(fastest, 0.99) * learned.spread
        most = costs.latency_ms(all_dense(costs.parts)) * learned.spread
        for index in range(len(rows), count):
            share = random.Random(f"{_SEED} {model} {runtime} {index}").random()
            row = _deployed(board, job, learned, least + share * (most - least), watch)
            rows.append({"model": model, "runtime": runtime, "fastest_ms": least, "dense_ms": most, **row})
            kept.write_text(json.dumps(rows))
            print(f"{model}, {runtime}: p95 {row['p95_ms']:.4g} of {row['budget_ms']:.4g} ms", flush=True)
    return rows


def _deployed(board: Board, job: Job, learned: Learned, budget_ms: float, watch: Watch) -> dict[str, Any]:
    budget = Budget(Limit(budget_ms, "drawn"), None, None)
    limits = profiling.plan_limits(budget, learned.share)
    asked = 0

    def time_chosen(selection: Selection) -> profiling.WholeModel:
        nonlocal asked
        asked += 1
        [chosen], _ = time_wholes(board, job, learned.profile, learned.worth.spectra, [("chosen", selection)], watch)
        return chosen.timed

    clock, spread = board.target.family.clock, learned.spread
    gains, costs = learned.worth.gains, learned.model.costs
    settled = settle(ALLOCATORS["exact"], gains, costs, limits, budget_ms, clock, spread, time_chosen)
    selection = settled.allocation.selection
    predicted = learned.model.predict(selection)
    backbone = compress(job.network.backbone, learned.worth.spectra, selection).eval()
    program = export_inference(job.runtime, backbone, job.dense_head, job.example)
    with tempfile.TemporaryDirectory() as folder:
        # What the board may train is not asked here; an empty train step keeps the bundle's form.
        made = (job.runtime, board.runtime_version, board.target.family.arch, backbone, job.dense_head, job.start)
        nothing = Program(b"", program.nodes)
        write_bundle(Path(folder), *made, job.task.classes, job.task.support.x[:8], program, nothing)
        bundle = read_bundle(Path(folder))
        release.install(board.home, bundle.folder)
        accepted = profiling.accept(
            board.agent,
            bundle.digest,
            bundle.inference_bytes,
            budget,
            tolerance=bundle.tolerance,
            threads=board.target.threads,
            clock=clock,
        )
        release.remove(board.home, bundle.digest)
    return {
        "budget_ms": budget_ms,
        "p95_ms": accepted.measurement.p95_ms,
        "median_ms": accepted.measurement.median_ms,
        "predicted_ms": predicted.ms,
        "low_ms": predicted.low_ms,
        "high_ms": predicted.high_ms,
        "timed_before": asked,
        "attempts": accepted.attempts,
        "refusals": [each.reason for each in accepted.refusals],
        "held": not accepted.refusals,
        "ranks": [choice.size for choice in selection.values()],
    }


if __name__ == "__main__":
    main()
