"""How long does a first `deploy --target host` take where images are 224 x 224, and is its default budget kept?

    PYTHONPATH=. python benchmarks/large_images.py    # ResNet-18 and MobileNetV2, each on a fresh cache

No other argument than model and task: the default budget, precision, channels, depth and recovery. The weights are
random, so accuracies say nothing. A row has the seconds of each stage. The machine should be idle: the board is this
machine, and `load` tells what it had to do besides over the minute before.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import Figure, write

CHECKOUT = Path(__file__).parents[1]
_MODELS = ("resnet18", "mobilenet_v2")
_MOST_S = 180.0


def main() -> None:
    """Deploy, print, write results/large_images.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=_MODELS, default=_MODELS)
    arguments = parser.parse_args()
    started = time.monotonic()
    rows = [_deployed(model) for model in arguments.models]
    figures = {}
    for row in rows:
        how = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in row["stages_s"].items() if seconds >= 1)
        figures[f"{row['model']}_s"] = Figure(row["wall_s"], f"<= {_MOST_S:g}", row["wall_s"] <= _MOST_S, how)
        kept = row["exit_code"] == 0 and row["p95_ms"] <= row["budget_ms"]
        how = f"p95 of {row['p95_ms']} ms, dense median of {row['dense_median_ms']} ms: {row['source']}"
        figures[f"{row['model']}_p95_over_budget"] = Figure(row["p95_ms"] / row["budget_ms"], "<= 1", kept, how)
    write("large_images", figures, rows, seeds=[0], started=started)


def _deployed(model: str) -> dict[str, Any]:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        names = f"benchmarks.models.large_images:{model}", "benchmarks.models.large_images:task"
        command = [str(Path(sys.executable).with_name("deploy")), "--target", "host", "--model", names[0]]
        own = {"EDGE_DEPLOY_CACHE": str(Path(place, "cache")), "HOME": place, "PYTHONPATH": str(CHECKOUT)}
        started = time.monotonic()
        done = subprocess.run(
            [*command, "--task", names[1], "--json"],
            cwd=place,
            env=os.environ | own,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        wall_s = time.monotonic() - started
    result = json.loads(done.stdout)
    latency = result.get("latency_ms", {})
    return {
        "model": model,
        "load": load,
        "exit_code": done.returncode,
        "wall_s": wall_s,
        "stages_s": {each["name"]: each["seconds"] for each in result.get("stages", [])},
        "budget_ms": latency.get("budget"),
        "source": latency.get("source"),
        "p95_ms": latency.get("p95"),
        "median_ms": latency.get("median"),
        "dense_median_ms": latency.get("dense_median"),
        "choices": [f"{each['layer']}: {each['choice']} {each['precision']}" for each in result.get("allocation", [])],
        "notes": result.get("notes"),
    }


if __name__ == "__main__":
    main()
