"""Does the predicted latency come true? Random allocations, timed on a board, against what the toolkit said of them.

    PYTHONPATH=. python benchmarks/latency_model.py --data ../shared/data                  # emulated-pi: about an hour
    PYTHONPATH=. python benchmarks/latency_model.py --data ../shared/data --target host    # on a machine that is idle
    PYTHONPATH=. python benchmarks/latency_model.py --quick                                # digits, ONNX Runtime, few

Layers are profiled and summed as `deploy` does it; a few random whole models teach what sums miss, the others were
never seen by the fit. An error is that of the predicted median; an interval is right if it holds the measured one. The
intervals' prior on the instruction clock was set on rows of such a run: their coverage there is no blind test. What was
measured before is not measured again: delete `benchmarks/random_models` in the cache folder to start anew.
"""

import argparse
import os
import time
from typing import Any

import numpy as np
from record import Figure, write

from benchmarks.models.data import VARIABLE
from benchmarks.own_board import own_board
from benchmarks.random_models import MODELS, Measured, measure
from toolkit.profiling.latency_model import fit_latency_model
from toolkit.targets import Target

_FITTED, _UNSEEN = 6, 42
_SEED = 1
_GOALS = {"instructions": {0.05: 0.95, 0.10: 0.99}, "wall": {0.10: 0.90}}
_COVERAGE = (0.85, 0.95)


def main() -> None:
    """Measure what is missing, fit, compare, write results/latency_model-<target>.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the CIFAR-10 and FSDD files and weights")
    parser.add_argument("--target", default="emulated-pi")
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated")
    parser.add_argument("--runtimes", default="onnxruntime,executorch", help="comma-separated")
    parser.add_argument("--quick", action="store_true", help="the digits model in ONNX Runtime, 10 unseen allocations")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    started = time.monotonic()
    models = ["digits ViT"] if arguments.quick else arguments.models.split(",")
    runtimes = ["onnxruntime"] if arguments.quick else arguments.runtimes.split(",")
    rows: list[dict[str, Any]] = []
    with own_board(arguments.target) as target:
        for model in models:
            for runtime in runtimes:
                found = measure(model, runtime, target, _FITTED + (10 if arguments.quick else _UNSEEN), _SEED)
                rows += _rows(model, runtime, target, found)
    name = f"latency_model-{arguments.target}" + ("-quick" if arguments.quick else "")
    write(name, _figures(rows, target, "quick_" if arguments.quick else ""), rows, seeds=[_SEED], started=started)


def _rows(model: str, runtime: str, target: Target, found: Measured) -> list[dict[str, Any]]:
    """One row an allocation that the fit never saw."""
    taught = [(selection, row.median_ms) for selection, row in found.wholes[:_FITTED]]
    fitted = fit_latency_model(found.costs, found.kinds, target.family.clock, taught)
    rows = []
    for selection, row in found.wholes[_FITTED:]:
        interval = fitted.predict(selection)
        rows.append(
            {
                "model": model,
                "runtime": runtime,
                "ranks": [choice.size for choice in selection.values()],
                "measured_ms": row.median_ms,
                "measured_p95_ms": row.p95_ms,
                "flags": list(row.flags),
                "predicted_ms": interval.ms,
                "low_ms": interval.low_ms,
                "high_ms": interval.high_ms,
                "summed_ms": found.costs.latency_ms(selection),
                "error": interval.ms / row.median_ms - 1,
                "held": interval.low_ms <= row.median_ms <= interval.high_ms,
            }
        )
    return rows


def _figures(rows: list[dict[str, Any]], target: Target, prefix: str) -> dict[str, Figure]:
    """Over all, and the worst of a model in a runtime."""
    cases = sorted({(row["model"], row["runtime"]) for row in rows})
    errors = {
        case: np.array([row["error"] for row in rows if (row["model"], row["runtime"]) == case]) for case in cases
    }
    held = {case: np.mean([row["held"] for row in rows if (row["model"], row["runtime"]) == case]) for case in cases}
    unseen = min(len(each) for each in errors.values())
    how = f"{unseen} random allocations of each of {', '.join(' in '.join(case) for case in cases)}, none fitted on"
    figures = {}
    for bound, goal in _GOALS[target.family.clock].items():
        shares = {case: float(np.mean(np.abs(each) <= bound)) for case, each in errors.items()}
        worst = min(shares, key=lambda case: shares[case])
        figures[f"{prefix}within_{bound:.0%}".replace("%", "_percent")] = Figure(
            float(np.mean(np.abs(np.concatenate(list(errors.values()))) <= bound)),
            f">= {goal} in each",
            shares[worst] >= goal,
            f"{how}; lowest {shares[worst]:.3f} ({' in '.join(worst)})",
        )
    for case in cases:
        name = "_".join(case).replace(" ", "_").replace("-", "_")
        largest = float(np.abs(errors[case]).max())
        figures[f"{prefix}largest_error_{name}"] = Figure(largest, "reported", True, "share of the measured median")
    covered = float(np.mean(list(held.values())))
    apart = ", ".join(f"{' in '.join(case)} {share:.2f}" for case, share in held.items())
    figures[f"{prefix}interval_coverage"] = Figure(
        covered, "0.85..0.95 at nominal 0.90", _COVERAGE[0] <= covered <= _COVERAGE[1], f"mean of {apart}"
    )
    return figures


if __name__ == "__main__":
    main()
