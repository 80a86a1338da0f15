"""A process that learns is killed, by SIGKILL, and another one learns the same: both agents, as they run on a board."""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native import make_release
from safetensors.numpy import save_file

from edge_runtime.checkpoint import unfinished_beside
from toolkit.devices.agent_client import parse_event
from toolkit.devices.native.build import build_runner, runner_command
from toolkit.devices.python_agent import pack_agent
from toolkit.runtimes import RUNTIMES

pytestmark = pytest.mark.slow

_Event = dict[str, Any]
# So long one learning takes, with all that is imported: checkpoints are written every five seconds.
_SECONDS = 10.0


def _python_agent(spec: Path) -> list[str]:
    packed = spec.with_name("agent.pyz")
    packed.write_bytes(pack_agent())
    return [sys.executable, str(packed), "adapt", str(spec)]


def _native_agent(spec: Path) -> list[str]:
    machine = platform.machine()
    return ["/bin/sh", "-c", f"exec {runner_command(str(build_runner(machine)), machine)} adapt '{spec}'"]


def _events(printed: bytes) -> list[_Event]:
    return [event for event in map(parse_event, printed.splitlines()) if event is not None]


def test_a_killed_agent_in_python_goes_on_and_learns_the_very_bits(tmp_path: Path) -> None:
    _kill_and_repeat("onnxruntime", _python_agent, tmp_path)


@pytest.mark.usefixtures("compiler")
def test_a_killed_native_agent_goes_on_and_learns_the_very_bits(tmp_path: Path) -> None:
    _kill_and_repeat("executorch", _native_agent, tmp_path)


def _kill_and_repeat(runtime: str, agent: Callable[[Path], list[str]], tmp_path: Path) -> None:
    made = make_release(tmp_path / "release", "mlp", RUNTIMES[runtime], "fitted")
    shifts = np.random.default_rng(0).normal(0.3, 1.0, (2, *made.x.shape)).astype(np.float32)
    # Three of each class: in as many folds, however slow the machine is.
    x, labels = np.concatenate(made.x.numpy() + shifts)[:9], np.arange(9, dtype=np.int64) % 3
    save_file({"inputs.x": x, "targets.y": labels, "strata": labels}, tmp_path / "support")
    learned = tmp_path / "learned.safetensors"
    paths = {"release": str(made.bundle.folder), "support": str(tmp_path / "support"), "adapted": str(learned)}
    spec = {**paths, "lr": 1e-5, "jitter": {"x": 0.25}, "seed": 7, "threads": 1, "method": "cores"}

    def command(steps: int) -> list[str]:
        file = tmp_path / "spec.json"
        file.write_text(json.dumps({**spec, "steps": steps}), encoding="utf-8")
        return agent(file)

    def run(steps: int) -> list[_Event]:
        return _events(subprocess.run(command(steps), capture_output=True, check=True, timeout=600).stdout)

    unfinished, steps, whole, wanted = Path(unfinished_beside(str(learned))), 200, _Event(), b""
    while not unfinished.exists():  # it ended before it was killed, or would have
        steps *= 3
        began = time.monotonic()
        whole = run(steps)[-1]
        if time.monotonic() - began < _SECONDS:
            continue
        wanted = learned.read_bytes() if whole["accepted"] else b""
        learned.unlink(missing_ok=True)
        with subprocess.Popen(command(steps), stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and not unfinished.exists():
                time.sleep(0.05)
            process.kill()
    assert not learned.exists()
    events = run(steps)
    assert events[0]["resumed"] > 0
    taken = {"step_ms": None, "peak_bytes": None}
    assert {**events[-1], **taken} == {**whole, **taken}, "losses to the last bit"
    assert (learned.read_bytes() if learned.exists() else b"") == wanted
    assert not unfinished.exists()
