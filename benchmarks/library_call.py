"""What the library for applications adds to a call of a release for ExecuTorch.

    PYTHONPATH=. python benchmarks/library_call.py           # a minute, a C++ compiler is needed
    PYTHONPATH=. python benchmarks/library_call.py --quick

Two networks of convolutions, a small one and one of some milliseconds. The library calls it (`edge_call`: it looks
whether something else is served by now, converts, runs, counts, copies), and the agent runs the same program bare, with
its holes filled; both from processes of their own, in turns, and both tell medians of single calls, one thread.
"""

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from record import Figure, write
from torch import nn

from edge_runtime.digests import sha256
from toolkit.devices.agent_client import parse_event
from toolkit.devices.native.build import APPLICATION, build_runner, runner_command
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.runtimes import executorch
from toolkit.runtimes.bundle import export_inference, write_bundle

_MOST_US, _MOST_SHARE = 20.0, 0.03
_CALLS, _WARM, _SHAPE = 400, 20, (3, 64, 64)
# The median of single calls, in us.
_CALLER = """
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include "edge_runtime.hpp"

int main(int, char** arguments) {
  edge_runtime::Model model(arguments[1]);
  std::vector<float> x(3 * 64 * 64, 0.5F);
  std::vector<double> times;
  const edge_runtime::Input input(x.data(), {3, 64, 64});
  for (int call = 0; call < std::atoi(arguments[2]); ++call) {
    const auto started = std::chrono::steady_clock::now();
    model({input});
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - started).count());
  }
  times.erase(times.begin(), times.begin() + 20);
  std::sort(times.begin(), times.end());
  std::printf("%.3f\\n", times[times.size() / 2]);
}
"""


def main() -> None:
    """Measure, print, write results/library_call.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one pair of processes")
    quick, started = parser.parse_args().quick, time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        caller = _caller(Path(temporary))
        rows = [
            _row(Path(temporary), name, width, caller, 1 if quick else 7)
            for name, width in (("small", 4), ("milliseconds", 48))
        ]
    figures = {}
    for row in rows:
        met = row["added_us"] <= max(_MOST_US, _MOST_SHARE * row["bare_us"])
        how = f"median of {row['pairs']} pairs of processes; a bare call takes {row['bare_us']:.0f} us"
        figures[f"{row['network']}: added_us"] = Figure(row["added_us"], "<= 20, or 3 % of a call", met, how)
    write("library_call" + ("-quick" if quick else ""), figures, rows, seeds=[0], started=started)


def _caller(folder: Path) -> Path:
    there, source = build_runner(platform.machine()) / APPLICATION, folder / "caller.cpp"
    source.write_text(_CALLER)
    linked = [f"-I{there}", f"-L{there}", "-ledge_runtime", f"-Wl,-rpath,{there}"]
    subprocess.run(["g++", "-std=c++17", "-O2", source, "-o", folder / "caller", *linked], check=True)
    return folder / "caller"


def _row(temporary: Path, name: str, width: int, caller: Path, pairs: int) -> dict[str, Any]:
    root = temporary / name
    release = _served(root, width)
    ours, bare = [], []
    for turn in range(pairs):
        for which in ("ours", "bare") if turn % 2 else ("bare", "ours"):
            if which == "ours":
                done = subprocess.run([caller, root, str(_CALLS + _WARM)], capture_output=True, text=True, check=True)
                ours.append(float(done.stdout))
            else:
                bare.append(_bare_us(release))
    added = statistics.median(one - other for one, other in zip(ours, bare, strict=True))
    medians = {"library_us": statistics.median(ours), "bare_us": statistics.median(bare)}
    return {"network": name, "pairs": pairs, "added_us": added, **medians}


def _served(root: Path, width: int) -> Path:
    """A folder that serves a network of convolutions, as a deployment would."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU()
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5)).eval()
    x = inputs_of(torch.full((2, *_SHAPE), 0.5))
    split = split_head(model, inputs_of(torch.zeros(1, *_SHAPE)))
    assert split.head is not None
    inference = export_inference(executorch, split.backbone, split.head, inputs_of(torch.zeros(1, *_SHAPE)))
    made = root / "made"
    made.mkdir(parents=True)
    write_bundle(made, executorch, "1", "any", split.backbone, split.head, tuple("abcde"), x, inference, None)
    digest = sha256(str(made / "manifest.json"))
    (root / "releases").mkdir()
    (root / "adapted").mkdir()
    made.rename(root / "releases" / digest)
    (root / "current").symlink_to(Path("releases", digest))
    return root / "releases" / digest


def _bare_us(release: Path) -> float:
    """The agent's own median for the same program, its holes filled."""
    spec = {"release": str(release), "digest": release.name, "threads": 1, "warmups": _WARM, "runs": _CALLS}
    spec_file = release.parent.parent / "spec.json"
    spec_file.write_text(json.dumps({**spec, "budget_ms": 60_000.0}))
    machine = platform.machine()
    command = f"{runner_command(str(build_runner(machine)), machine)} verify '{spec_file}'"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True)
    said = [event for line in done.stdout.splitlines() if (event := parse_event(line))]
    assert said[-1]["event"] == "done", said
    return float(said[-1]["median_ms"]) * 1e3


if __name__ == "__main__":
    main()
