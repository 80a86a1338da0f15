"""Is anything torn where what learns, undoes or goes back is killed at a random instant?

    PYTHONPATH=. python benchmarks/learning_faults.py            # 100 kills: a quarter of an hour
    PYTHONPATH=. python benchmarks/learning_faults.py --quick    # ten

The bundled digits example is deployed to a folder of this machine. Two of three victims are applications, which learn,
undo and go to random generations without end; every third is `deploy adapt`, which learns once. Each is killed
(SIGKILL, with all that it started) at a random instant of its work; a deployer that had ended by then is counted so.
Then:

- what is served loads, and computes what its own program and values give by ONNX Runtime alone;
- `model/` is whole: stock ONNX Runtime loads it, and it computes one of the states that there are;
- every generation is what its name says;
- an application learns again; after a killed deployer the next `deploy adapt --undo` or `--to 0` succeeds unaided.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from learning_states import served_state, wrong_with
from record import Figure, write
from rich.progress import track

import edge_runtime
from toolkit import pipeline
from toolkit.examples import digits
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.targets import Target, load_target

_SEED = 11
# What an instant is drawn from: an application says when it begins, a deployer imports torch for some seconds first.
_AFTER_S = {"application": (0.0, 3.0), "deploy adapt": (2.5, 9.0)}
_DEPLOY = str(Path(sys.executable).with_name("deploy"))
_DESK = """name = "desk"
summary = "this machine, in a folder that goes"
arch = "any"
runtimes = ["onnxruntime"]
root = "{root}"
[place]
transport = "local"
"""
_APPLICATION = Path(__file__).with_name("learning_application.py")


def main() -> None:
    """Kill, look, print, write results/learning_faults.json (or learning_faults-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ten kills")
    quick = parser.parse_args().quick
    started, kills = time.monotonic(), 10 if quick else 100
    chance = random.Random(_SEED)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        target = load_target("host").model_copy(update={"root": f"{place}/board"})
        request = Request(recovery_steps=20, adapt=False)
        pipeline.deploy(request, target, Overrides(latency_ms=1e4, size_bytes=20_000_000), Silent(), folder / "runs")
        (folder / "targets").mkdir()
        (folder / "targets" / "desk.toml").write_text(_DESK.format(root=target.root), encoding="utf-8")
        _support(folder, target)
        for index in track(range(kills), "killing"):
            victim = "deploy adapt" if index % 3 == 2 else "application"
            after_s = chance.uniform(*_AFTER_S[victim])
            killed = _kill(victim, folder, target, index, after_s)
            wrong = wrong_with(target.root) + (_next_deployer(folder, chance) if victim == "deploy adapt" else [])
            rows.append(
                {
                    "victim": victim,
                    "after_s": round(after_s, 3),
                    "killed": killed,
                    "wrong": wrong,
                    "serves": served_state(target.root),
                }
            )
            if wrong:
                print(rows[-1], flush=True)
        model = edge_runtime.load(target.root)
        data = np.load(folder / "support.npz")
        learns = model.learn(data["x"], data["y"], steps=6).accepted
    torn = sum(bool(row["wrong"]) for row in rows)
    served = Counter(row["serves"] for row in rows)
    prefix = "quick_" if quick else ""
    killed = Counter(row["victim"] for row in rows if row["killed"])
    how = f"killed at work: {', '.join(f'{count} x {victim}' for victim, count in killed.items())}, of {kills}"
    how += f"; it then served {len(served)} different states"
    write(
        "learning_faults" + ("-quick" if quick else ""),
        {
            f"{prefix}torn_or_wrong": Figure(torn, "0", torn == 0, how),
            f"{prefix}learns_at_the_end": Figure(float(learns), "1", learns, "an application, after all of them"),
        },
        rows,
        seeds=[_SEED],
        started=started,
    )


def _support(folder: Path, target: Target) -> None:
    """The example's own, in a file; and two generations to begin with."""
    model, task = edge_runtime.load(target.root), digits.task()
    [x], y = task.support.x, np.array([task.classes[int(label)] for label in task.support.y])
    np.savez(folder / "support.npz", x=x.numpy(), y=y)
    for seed in range(2):
        assert model.learn(x.numpy(), y, steps=6, seed=seed).accepted


def _kill(victim: str, folder: Path, target: Target, seed: int, after_s: float) -> bool:
    """Start it, and kill it and all that it started so long after it began its work; whether it was at work."""
    if victim == "application":
        command = [sys.executable, str(_APPLICATION), target.root, str(folder / "support.npz"), str(seed)]
    else:
        asked = ["adapt", "--target", "desk", "--support", "support.npz", "--steps", "5", "--seed", str(seed)]
        command = [_DEPLOY, *asked]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    ) as process:
        if victim == "application":
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        time.sleep(after_s)
        os.kill(process.pid, signal.SIGSTOP)  # it starts nothing more
        family = _descendants(process.pid)
        for pid in (process.pid, *family):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _, said = process.communicate()
        if process.returncode != -signal.SIGKILL and (victim == "application" or process.returncode):
            raise RuntimeError(f"{victim} ended by itself: {said}")
        while any(map(_is_alive, family)):
            time.sleep(0.01)
        return process.returncode == -signal.SIGKILL


def _is_alive(pid: int) -> bool:
    try:
        state = Path("/proc", str(pid), "stat").read_text(encoding="utf-8").rpartition(") ")[2][0]
    except OSError:
        return False
    return state not in "ZX"


def _descendants(pid: int) -> list[int]:
    """All that it started, and they, stopped on the way."""
    said = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    found = []
    for child in map(int, said.split()):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGSTOP)
        found += [child, *_descendants(child)]
    return found


def _next_deployer(folder: Path, chance: random.Random) -> list[str]:
    """It takes over from the one that was killed."""
    asked = ["adapt", "--target", "desk", *chance.choice((["--to", "0"], ["--undo"]))]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [_DEPLOY, *asked],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    nothing = "nothing to undo" in done.stderr
    return [] if done.returncode == 0 or nothing else [f"the next deployer: {done.stderr.strip()}"]


if __name__ == "__main__":
    main()
