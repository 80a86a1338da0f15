"""Do budgets hold, and are they used? Deployments to an emulated board under random latency budgets.

    PYTHONPATH=. python benchmarks/budgets.py --data ../shared/data    # 60 in fp32, the better part of an hour
    PYTHONPATH=. python benchmarks/budgets.py --data ../shared/data --auto  # 30: int8, ranks, channels, blocks
    PYTHONPATH=. python benchmarks/budgets.py --quick                       # digits in ONNX Runtime, three budgets

Each budget is drawn between what the fastest model and the dense one took on the board. The model is then deployed as
`deploy --latency` does it, all but training it and learning on the board, neither of which moves the latency: in fp32
ranks alone are chosen, and with `--auto` whatever `deploy` offers without a flag. A deployment that the board refuses
at last counts as missed. What was deployed before is not deployed again: delete `benchmarks/budgets` in the cache
folder to start anew.
"""

import argparse
import json
import os
import random
import time
from dataclasses import replace
from typing import Any

import numpy as np
from record import Figure, write

from benchmarks.models.data import VARIABLE
from benchmarks.own_board import own_board
from benchmarks.random_models import MODELS
from toolkit import pipeline
from toolkit.cache import cache_folder, digest
from toolkit.devices import hold
from toolkit.devices.home import Home
from toolkit.errors import BudgetError
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.stages import Watch, load, probe, profile
from toolkit.stages.learn import Learned, learn
from toolkit.targets import Target

_SEED = 3
_LEAST_USE = 0.9
# A budget at exactly what something takes leaves nothing for the next measurement of it.
_ROOM = 1.02


def main() -> None:
    """Deploy, print, write results/budgets.json (or budgets-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the CIFAR-10 and FSDD files and weights")
    parser.add_argument("--auto", action="store_true", help="as `deploy` chooses without a flag, five of each case")
    parser.add_argument("--board", default="emulated-pi", help="emulated-pi or emulated-pi-5")
    parser.add_argument("--quick", action="store_true", help="digits in ONNX Runtime, three budgets")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    quick, started = arguments.quick, time.monotonic()
    cases = [(model, runtime) for model in MODELS for runtime in ("onnxruntime", "executorch")]
    cases, count = (cases[:1], 3) if quick else (cases, 5 if arguments.auto else 10)
    rows: list[dict[str, Any]] = []
    with own_board(arguments.board) as target:
        for model, runtime in cases:
            rows += _deployments(model, runtime, target, count, auto=arguments.auto)
    use = float(np.median([row["p95_ms"] / row["budget_ms"] for row in rows if row["held"]]))
    held = sum(row["held"] for row in rows)
    prefix, suffix = "quick_" if quick else "", "_auto" if arguments.auto else ""
    how = f"{len(rows)} random budgets over {len(cases)} models and runtimes, {target.name}"
    figures = {
        f"{prefix}deployments_within_budget{suffix}": Figure(
            held, f"{len(rows)} of {len(rows)}", held == len(rows), how
        ),
        f"{prefix}median_use_of_budget{suffix}": Figure(
            use, f">= {_LEAST_USE}", use >= _LEAST_USE, "measured p95 over budget"
        ),
    }
    name = "budgets" + ("-auto" if arguments.auto else "") + ("-quick" if quick else "")
    write(name, figures, rows, seeds=[_SEED], started=started)


def _deployments(model: str, runtime: str, target: Target, count: int, *, auto: bool) -> list[dict[str, Any]]:
    watch = Watch(Silent())
    request = Request(*MODELS[model], runtime, recovery_steps=0)
    if not auto:
        request = replace(request, channels=False, depth=False, precision="fp32")
    kept = cache_folder() / "benchmarks" / "budgets" / f"{digest(model, runtime, target.name, auto)[:16]}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    if len(rows) >= count:
        return rows[:count]
    job = load(request, target, watch)
    with hold(target) as home:
        board = probe(home, target, job, watch)
        learned = learn(board, job, profile(board, job, watch), request.curve, request.seed, watch)
        fastest_ms, dense_ms = _range_ms(learned)
        for index in range(len(rows), count):
            share = random.Random(f"{_SEED} {model} {runtime} {index}").random()
            budget_ms = fastest_ms + share * (dense_ms - fastest_ms)
            row = _deployed(home, request, target, budget_ms)
            rows.append({"model": model, "runtime": runtime, "fastest_ms": fastest_ms, "dense_ms": dense_ms, **row})
            kept.write_text(json.dumps(rows))
            print(f"{model}, {runtime}: p95 {row['p95_ms']} of {row['budget_ms']:.4g} ms", flush=True)
    return rows


def _range_ms(learned: Learned) -> tuple[float, float]:
    """p95 of the fastest whole model that was timed, with some room, and of the dense one."""
    fastest = min(whole.timed.measurement.own_p95_ms for whole in learned.wholes)
    return _ROOM * fastest, learned.profile.dense.measurement.own_p95_ms


def _deployed(home: Home, request: Request, target: Target, budget_ms: float) -> dict[str, Any]:
    watch = Watch(Silent())
    try:
        done = pipeline.release(home, request, target, Overrides(latency_ms=budget_ms), watch)
    except BudgetError as error:
        return {"budget_ms": budget_ms, "p95_ms": None, "held": False, "error": str(error), "notes": watch.notes}
    accepted, planned = done.verified, done.planned
    return {
        "budget_ms": budget_ms,
        "p95_ms": accepted.measurement.p95_ms,
        "median_ms": accepted.measurement.median_ms,
        "predicted_ms": planned.predicted.ms,
        "low_ms": planned.predicted.low_ms,
        "high_ms": planned.predicted.high_ms,
        "attempts": accepted.attempts,
        "refusals": [each.reason for each in accepted.refusals],
        "held": not accepted.refusals,
        "choices": str(planned.allocation.selection.key),
        "notes": watch.notes,
    }


if __name__ == "__main__":
    main()
