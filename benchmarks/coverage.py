"""Which networks go all the way? Forty models, small and random, deployed to this machine in both runtimes.

    PYTHONPATH=. python benchmarks/coverage.py                       # 80 cells, some hours
    PYTHONPATH=. python benchmarks/coverage.py --runtime onnxruntime # 40 of them
    PYTHONPATH=. python benchmarks/coverage.py --only bert --runtime executorch  # one of them: kept, no figures
    PYTHONPATH=. python benchmarks/coverage.py --quick               # four models

Needs `pip install '.[hf]'`, and `g++` for ExecuTorch. Each cell is the command line as a user has it, with all
defaults: `deploy --target desk --model ... --task ... --runtime ...`, in a new folder with a cache and a board of its
own, so that nothing is known from an earlier cell but the compiled runner. A cell *learns* if the run ends with exit
code 0, its release is active and the board has learned. What the board learned and did not take, because held-out
examples did not gain, counts: `accepted` tells. Weights are random, so accuracies say nothing but that the task's
answers arrive.

What was run is not run again: delete `benchmarks/coverage` in the cache folder to start anew. What a cell printed lies
there, too.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from record import Figure, write
from torch import nn

from benchmarks.models.coverage import ALL, Case
from toolkit.cache import cache_folder
from toolkit.devices.native import build_runner
from toolkit.factories import call_factory
from toolkit.quiet import quiet
from toolkit.runtimes import RUNTIMES

_CHECKOUT = Path(__file__).parents[1]
_QUICK = ("vit", "bert", "unet", "scripted")
# Two minutes more than the slowest may take: what is slower still is not waited for.
_SLOWEST_S, _LIMIT_S = 600.0, 720.0
_MEDIAN_S, _REFUSED_S = 180.0, 15.0
_SHARE = 0.95
_TARGET = """
name = "desk"
summary = "this machine in a folder of its own"
arch = "any"
runtimes = ["onnxruntime", "executorch"]
rank_multiple = 8
root = "{root}"
[place]
transport = "local"
[budget]
dense_latency_fraction = 0.65
memory_fraction = 0.25
"""


def main() -> None:
    """Deploy, print, write results/coverage-<runtime>.json (or coverage-quick-...) unless the models are only some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(_QUICK)}")
    parser.add_argument("--only", nargs="+", choices=[case.name for case in ALL], metavar="NAME", help="these models")
    parser.add_argument("--runtime", choices=list(RUNTIMES), help="this runtime")
    arguments = parser.parse_args()
    started = time.monotonic()
    names = arguments.only or (_QUICK if arguments.quick else [case.name for case in ALL])
    for runtime in [arguments.runtime] if arguments.runtime else list(RUNTIMES):
        rows = [_cell(case, runtime) for case in ALL if case.name in names]
        if not arguments.only:
            name, prefix = ("coverage-quick", "quick_") if arguments.quick else ("coverage", "")
            write(f"{name}-{runtime}", _figures(rows, prefix, runtime), rows, seeds=[0], started=started)


def _figures(rows: list[dict[str, Any]], prefix: str, runtime: str) -> dict[str, Figure]:
    wanted = [row for row in rows if row["to_be_refused_for"] is None]
    learned = [row for row in rows if row["learned"]]
    others = [row for row in rows if not row["learned"]]
    refused = [row for row in others if row["error"] and row["seconds"] <= _REFUSED_S]
    named = [row for row in rows if row["to_be_refused_for"] and row["to_be_refused_for"] in (row["error"] or "")]
    share = len([row for row in wanted if row["learned"]]) / len(wanted)
    tracebacks = sum(row["traceback"] for row in rows)
    median = statistics.median(row["seconds"] for row in learned) if learned else float("nan")
    slowest = max(row["seconds"] for row in rows)
    how = f"{len(wanted)} models that can be deployed, {runtime}, all defaults"
    return {
        f"{prefix}cells_that_learn": Figure(share, f">= {_SHARE}", share >= _SHARE, how),
        f"{prefix}others_refused_within_15_s": Figure(
            len(refused), f"{len(others)} of {len(others)}", len(refused) == len(others), "imports included"
        ),
        f"{prefix}refused_by_their_name": Figure(
            len(named),
            f"{len(rows) - len(wanted)} of {len(rows) - len(wanted)}",
            len(named) == len(rows) - len(wanted),
            "TorchScript, quantised, lazy: the error says so",
        ),
        f"{prefix}tracebacks": Figure(tracebacks, "0", tracebacks == 0, f"of {len(rows)} runs"),
        f"{prefix}median_s": Figure(median, f"<= {_MEDIAN_S:g}", median <= _MEDIAN_S, "of the cells that learn"),
        f"{prefix}slowest_s": Figure(slowest, f"<= {_SLOWEST_S:g}", slowest <= _SLOWEST_S, "of all cells"),
    }


def _cell(case: Case, runtime: str) -> dict[str, Any]:
    """The row of that model in that runtime, as it was kept or as a run gives it now."""
    folder = cache_folder() / "benchmarks" / "coverage"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{case.name}-{runtime}.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    load = os.getloadavg()[0]
    exit_code, seconds, out, said = _deploy(case, runtime)
    (folder / f"{case.name}-{runtime}.log").write_text(said, encoding="utf-8")
    errors = [line for line in said.splitlines() if line.startswith("error ")]
    row = {
        "model": case.name,
        "runtime": runtime,
        "exit_code": exit_code,
        "seconds": round(seconds, 1),
        "load": round(load, 1),
        "to_be_refused_for": case.refused,
        "error": errors[0] if errors else None,
        "traceback": "Traceback (most recent call last)" in said or "─ Traceback" in said,
        "learned": False,
    }
    result = json.loads(out) if out.strip() else {}
    if "allocation" in result:  # also of a release that the board refused; an error has a form of its own
        row |= _told(result)
    row["learned"] = exit_code == 0 and row.get("active", False) and row.get("adapted") is not None
    kept.write_text(json.dumps(row), encoding="utf-8")
    print(
        f"{case.name}, {runtime}: {'learned' if row['learned'] else row['error'] or exit_code}, {seconds:.0f} s",
        flush=True,
    )
    return row


def _deploy(case: Case, runtime: str) -> tuple[int | None, float, str, str]:
    """Exit code (None past the limit), seconds, stdout and stderr of the command line in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="coverage-") as place:
        here = Path(place)
        (here / "targets").mkdir()
        (here / "targets" / "desk.toml").write_text(_TARGET.format(root=here / "board"), encoding="utf-8")
        model = case.model
        if case.saved:
            with quiet():
                call_factory(case.model, "model", nn.Module).save_pretrained(here / "model")
            model = "hf:model"
        if runtime == "executorch":
            built = build_runner(platform.machine())
            shutil.copytree(built, here / "cache" / "runners" / built.name)
        code = "from toolkit.cli import main; main()"
        what = ["--target", "desk", "--model", model, "--task", case.task, "--runtime", runtime, "--json"]
        environment = {
            **os.environ,
            "PYTHONPATH": str(_CHECKOUT),
            "EDGE_DEPLOY_CACHE": str(here / "cache"),
            "COLUMNS": "200",
        }
        started = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-c", code, *what],
            cwd=here,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                out, said = process.communicate(timeout=_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.terminate()  # it ends what it has started on its board
                _, said = process.communicate()
                return None, time.monotonic() - started, "", said
            return process.returncode, time.monotonic() - started, out, said


def _told(result: dict[str, Any]) -> dict[str, Any]:
    """What of a `result.json` the table shows."""
    parts, accuracy, adaptation = result["allocation"], result["accuracy"], result["adaptation"]
    values = {
        name: accuracy[f"task_{name}"]["value"] if accuracy and accuracy[f"task_{name}"] else None
        for name in ("dense", "compact", "adapted")
    }
    return {
        "active": result["active"],
        "stages": {each["name"]: round(each["seconds"], 1) for each in result["stages"]},
        "choices": dict(Counter(f"{each['choice']} {each['precision']}" for each in parts)),
        "stayed_dense": [each["layer"] for each in parts if each["choice"] == "dense"],
        "unable": [each["layer"] for each in parts if each["unable"]],
        "measure": result["measure"],
        **values,
        "accepted": adaptation["accepted"] if adaptation else None,
        "difference": result["host_device_max_abs_difference"],
        "relative_difference": result["host_device_max_relative_difference"],
        "dense_p95_ms": result["latency_ms"]["dense_p95"],
        "budget_ms": result["latency_ms"]["budget"],
        "p95_ms": result["latency_ms"]["p95"],
        "parameters": [result["parameters_dense"], result["parameters_compact"]],
        "nodes": result["nodes"],
        "notes": result["notes"],
        "refusals": [each["reason"] for each in result["refusals"]],
    }


if __name__ == "__main__":
    main()
