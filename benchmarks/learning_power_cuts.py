"""Is anything torn of what a board has learned where its power is cut while an application learns there?

    PYTHONPATH=. python benchmarks/learning_power_cuts.py            # 20 cuts: an hour
    PYTHONPATH=. python benchmarks/learning_power_cuts.py --quick    # three

A small network is deployed to an emulated board whose disk outlives a power cut. An application on the board learns,
undoes and goes to random generations without end (`learning_application.py`); QEMU is killed at a random instant of
that, and what the board had not flushed to its disk is lost. The board is started again, and looks
(`learning_states.py`): what is served loads and computes what it should, `model/` is whole, every generation is what
its name says. At the end an application learns once more.
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from record import Figure, write
from rich.progress import track

from benchmarks.models import clouds
from benchmarks.own_board import machines_folder
from toolkit import lab, pipeline
from toolkit.devices import Device, connected
from toolkit.devices.device import check
from toolkit.progress import Silent
from toolkit.request import Overrides, Request

_SEED, _TARGET = 12, "emulated-pi"
# What an instant is drawn from, once the application has said that it begins; it learns in a few of these seconds.
_AFTER_S = 20.0
_PATIENCE_S = 300.0
_BESIDE = Path(__file__).parent
_ROOT = ".edge-deploy"
_PYTHON = f"PYTHONPATH={_ROOT}/edge_runtime.pyz:{_ROOT}/site python3"
_LEARN = """
import sys, edge_runtime, numpy
model, data = edge_runtime.load(sys.argv[1]), numpy.load(sys.argv[2])
print("accepted" if model.learn(data["x"], data["y"], seed=int(sys.argv[3])).accepted else "refused")
"""


def main() -> None:
    """Cut, look, print, write results/learning_power_cuts.json (or learning_power_cuts-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three cuts")
    quick = parser.parse_args().quick
    started, cuts = time.monotonic(), 3 if quick else 20
    chance, rows = random.Random(_SEED), []
    with tempfile.TemporaryDirectory(prefix="board-", dir=machines_folder()) as folder:
        machine = lab.Machine("power-cuts", Path(folder, "machine"), keep_disk=True)
        try:
            _deploy(machine, Path(folder))
            for index in track(range(cuts), "cutting"):
                rows.append(_cut(machine, index, chance.uniform(0, _AFTER_S)))
                if rows[-1]["wrong"]:
                    print(rows[-1], flush=True)
            learns = _learns(machine)
        finally:
            lab.power_off(machine)
    torn, states = sum(bool(row["wrong"]) for row in rows), Counter(row["serves"] for row in rows)
    prefix = "quick_" if quick else ""
    how = f"of {cuts} cuts while an application learned, undid or went back; it then served {len(states)} states"
    figures = {
        f"{prefix}torn_or_wrong": Figure(torn, "0", torn == 0, how),
        f"{prefix}learns_at_the_end": Figure(float(learns), "1", learns, "an application, after all of them"),
    }
    write("learning_power_cuts" + ("-quick" if quick else ""), figures, rows, seeds=[_SEED], started=started)


def _deploy(machine: lab.Machine, folder: Path) -> None:
    """A release with two generations, and beside it all that the rest needs."""
    target = lab.target_on(lab.power_on(machine, on_step=print), _TARGET)
    made = "benchmarks.models.clouds"
    request = Request(f"{made}:network", f"{made}:task", adapt=False, profile_budget_s=1.0, precision="fp32")
    pipeline.deploy(request, target, Overrides(latency_ms=1e4), Silent(), folder / "runs")
    support = clouds.task().support
    np.savez(folder / "support.npz", x=next(iter(support.x)).numpy(), y=np.array(["a", "b", "c"])[support.y.numpy()])
    with connected(target) as device:
        for file in (_BESIDE / "learning_application.py", _BESIDE / "learning_states.py", folder / "support.npz"):
            device.push(file, f"~/{file.name}")
        for seed in range(2):
            _python(device, f"-c '{_LEARN}' {_ROOT} support.npz {seed}")
        check(device.run("sync"), "bringing files to its disk", _TARGET)


def _cut(machine: lab.Machine, seed: int, after_s: float) -> dict[str, Any]:
    """One cut, so long after the application has begun; what the board says once it runs again."""
    with connected(lab.target_on(lab.power_on(machine, on_step=lambda _: None), _TARGET)) as device:
        asked = f"{_PYTHON} learning_application.py {_ROOT} support.npz {seed}"
        check(
            device.run(f"nohup env {asked} > said 2>&1 < /dev/null & echo begun"), "starting the application", _TARGET
        )
        until = time.monotonic() + _PATIENCE_S
        while b"ready" not in (said := device.run("cat said").stdout):
            if time.monotonic() > until:
                raise RuntimeError(f"the application never began: {said.decode()}")
            time.sleep(0.5)
        time.sleep(after_s)
        if (said := device.run("cat said").stdout.decode().strip()) != "ready":
            raise RuntimeError(f"the application ended by itself: {said}")
        lab.power_cut(machine)
    with connected(lab.target_on(lab.power_on(machine, on_step=lambda _: None), _TARGET)) as device:
        return {"after_s": round(after_s, 3), **json.loads(_python(device, f"learning_states.py {_ROOT}"))}


def _learns(machine: lab.Machine) -> bool:
    with connected(lab.target_on(lab.power_on(machine, on_step=lambda _: None), _TARGET)) as device:
        return "accepted" in _python(device, f"-c '{_LEARN}' {_ROOT} support.npz 0")


def _python(device: Device, what: str) -> str:
    return check(device.run(f"{_PYTHON} {what}", timeout_s=_PATIENCE_S), "running Python", _TARGET).stdout.decode()


if __name__ == "__main__":
    main()
