"""A program in a fork weighs what a whole process weighs, and what it leaves behind is not counted for the next."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workplace import CHECKOUT

from toolkit.devices.python_agent import pack_agent

_BOTH = """
import json, sys
sys.path.insert(0, {devices!r})
from agent.apart import apart
from agent.facts import peak_bytes
import numpy as np

def work(peak, megabytes):
    np.linalg.svd(np.ones((60, 60)) * np.ones(megabytes << 17).sum())
    print(json.dumps(peak()), flush=True)
"""
_APART = _BOTH + "import numpy.fft, numpy.random\nfor size in {sizes}:\n    apart(lambda peak: work(peak, size))\n"
_ALONE = _BOTH + "import numpy.fft, numpy.random\nwork(peak_bytes, {sizes}[0])\n"


def said(script: str, *sizes: int) -> list[Any]:
    text = script.replace("{devices!r}", repr(str(CHECKOUT / "toolkit/devices"))).replace("{sizes}", str(sizes))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_fork_weighs_what_a_process_of_its_own_weighs() -> None:
    """To a twentieth: linear algebra with threads of its own lays out its memory anew after a fork (3.7 % seen)."""
    large, small = said(_APART, 64, 8)
    assert large == pytest.approx(said(_ALONE, 64)[0], rel=0.05)
    assert small == pytest.approx(said(_ALONE, 8)[0], rel=0.05)


@pytest.mark.parametrize(("how", "status"), [("os.kill(os.getpid(), 9)", 137), ("raise SystemExit(7)", 7)])
def test_a_fork_that_dies_ends_the_agent_in_the_same_way(how: str, status: int) -> None:
    script = f"import os\ndef work(peak):\n    {how}\napart(work)\nprint('went on')\n"
    text = _BOTH.replace("{devices!r}", repr(str(CHECKOUT / "toolkit/devices"))) + script
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "")


def test_a_program_that_no_runtime_loads_is_said_at_once(tmp_path: Path) -> None:
    """ONNX Runtime has a thread of its own once it is imported, for which a fork waited at its end without end."""
    (tmp_path / "agent.pyz").write_bytes(pack_agent())
    (tmp_path / "program.onnx").write_bytes(b"no model")
    program = {"id": "one", "path": str(tmp_path / "program.onnx"), "inputs": [[1, 4]]}
    (tmp_path / "spec.json").write_text(json.dumps({"runtime": "onnxruntime", "threads": 1, "programs": [program]}))
    command = [sys.executable, "agent.pyz", "bench", "spec.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "error"


def test_a_runtime_brings_no_thread_and_writes_nothing_into_a_home(tmp_path: Path) -> None:
    """ONNX Runtime's telemetry would (1.31): on a board nobody asked for it."""
    script = "import os\nfrom edge_runtime.program import bring_in\nbring_in('onnxruntime')\n"
    text = _BOTH.replace("{devices!r}", repr(str(CHECKOUT / "toolkit/devices"))) + script
    text += "print(len(os.listdir('/proc/self/task')))\n"
    alone = {"HOME": str(tmp_path), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", text], env=alone, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert list(tmp_path.iterdir()) == []
