"""The native runner on the emulated arm64 board, over SSH: what it computes there is what torch computes here."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from native import Made, make_release, timing
from native_library import application, compile_c
from safetensors.numpy import load_file, save_file

from toolkit.devices import connect
from toolkit.devices.agent_client import parse_event
from toolkit.devices.device import Device, check
from toolkit.devices.native.build import build_runner, runner_command
from toolkit.devices.native.sdk import LIBRARIES
from toolkit.runtimes import executorch
from toolkit.targets import Target

pytestmark = [pytest.mark.board, pytest.mark.usefixtures("compiler")]

ROOT = "/root/tests of the runner"


@dataclass(frozen=True)
class There:
    """A connected board with the runner and a release on it."""

    device: Device
    made: Made

    def run(self, folder: Path, verb: str, spec: dict[str, Any]) -> list[dict[str, Any]]:
        (folder / "spec.json").write_text(json.dumps(spec))
        self.device.push(folder / "spec.json", f"{ROOT}/spec.json")
        command = f"{runner_command(f'{ROOT}/runner', 'aarch64')} {verb} {shlex.quote(f'{ROOT}/spec.json')}"
        done = self.device.run(command, timeout_s=300)
        events = [event for line in done.stdout.splitlines() if (event := parse_event(line))]
        assert events, done
        return events


@pytest.fixture(scope="module")
def there(emulated_pi: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    made = make_release(tmp_path_factory.mktemp("board") / "release", "resnet", executorch)
    device = connect(emulated_pi)
    root = shlex.quote(ROOT)
    check(device.run(f"rm -rf {root} && mkdir -p {root}/runner {root}/release"), "making folders", "board")
    for folder, name in ((build_runner("aarch64"), "runner"), (made.bundle.folder, "release")):
        for path in sorted(folder.iterdir()):
            if path.is_file():
                device.push(path, f"{ROOT}/{name}/{path.name}")
    device.push(application("aarch64") / "libedge_runtime.so", f"{ROOT}/libedge_runtime.so")
    check(device.run(f"chmod +x {root}/runner/*"), "making it executable", "board")
    yield There(device, made)
    device.run(f"rm -rf {root}")
    device.close()


def test_it_says_what_the_board_is(there: There, tmp_path: Path) -> None:
    [said] = there.run(tmp_path, "facts", {})
    assert said["machine"] == "aarch64"
    assert said["python"] is None
    assert said["libc"].startswith("glibc 2.")
    assert said["ram_bytes"] > 1e8


def test_a_release_is_verified_there(there: There, tmp_path: Path) -> None:
    spec = {"release": f"{ROOT}/release", "digest": there.made.bundle.digest, "threads": 1, **timing()}
    done = there.run(tmp_path, "verify", {**spec, "cpu_affinity": [0]})[-1]
    assert done["event"] == "done", done
    assert done["corrupt"] == []
    assert done["max_abs_difference"] < 1e-5
    assert done["max_relative_difference"] < 1e-5
    assert 0 < done["min_ms"] <= done["median_ms"] <= done["p95_ms"]
    assert 1e6 < done["peak_bytes"] < 5e7


def test_it_learns_there_and_serves_what_it_learned(there: There, tmp_path: Path) -> None:
    x, y = there.made.x.numpy(), np.arange(6, dtype=np.int64) % 3
    save_file({"inputs.x": x, "targets.y": y, "strata": y}, tmp_path / "support")
    there.device.push(tmp_path / "support", f"{ROOT}/support")
    paths = {"release": f"{ROOT}/release", "support": f"{ROOT}/support", "adapted": f"{ROOT}/adapted"}
    events = there.run(tmp_path, "adapt", {**paths, "steps": 10, "lr": 3e-3, "jitter": {}, "seed": 0, "threads": 1})
    assert events[-1]["event"] == "done", events[-1]
    assert events[-1]["accepted"]
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(1, 11))
    spec = {"release": f"{ROOT}/release", "inputs": f"{ROOT}/support", "outputs": f"{ROOT}/logits", "threads": 1}
    logits = []
    for adapted in (None, f"{ROOT}/adapted"):
        done = there.run(tmp_path, "infer", {**spec, "adapted": adapted})[-1]
        assert done["event"] == "done", done
        there.device.pull(f"{ROOT}/logits", tmp_path / "logits")
        logits.append(load_file(tmp_path / "logits")["outputs.logits"])
    np.testing.assert_allclose(logits[0], there.made.expected().numpy(), atol=1e-5)
    assert np.abs(logits[1] - logits[0]).max() > 1e-4


def test_a_program_cut_short_is_said_so(there: There, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pte"
    cut.write_bytes((there.made.bundle.folder / "infer.pte").read_bytes()[:500])
    there.device.push(cut, f"{ROOT}/cut.pte")
    entry = {"id": "cut", "path": f"{ROOT}/cut.pte", "inputs": [[1, 3, 12, 12]], "holes": {}}
    said = there.run(tmp_path, "bench", {"runtime": "executorch", "threads": 1, **timing(), "programs": [entry]})[-1]
    assert said["event"] == "error"
    assert "cut.pte" in said["message"]


def test_a_program_in_c_calls_a_release_there(there: There, tmp_path: Path) -> None:
    """With the board's own C and C++ libraries; the runner brings its own."""
    there.device.push(compile_c("aarch64", tmp_path), f"{ROOT}/main")
    released = f"board/releases/{there.made.bundle.digest}"
    steps = [
        f"cd {shlex.quote(ROOT)}",
        f"mkdir -p {released} board/adapted lib",
        f"cp release/* {released}/",
        f"ln -sfn releases/{there.made.bundle.digest} board/current",
        *(f"ln -sf ../runner/{name} lib/{name}" for name in LIBRARIES),
        "chmod +x main",
        'LD_LIBRARY_PATH="$PWD:$PWD/lib" ./main "$PWD/board"',
    ]
    done = check(there.device.run(" && ".join(steps)), "calling the release", "board")
    with torch.no_grad():
        [logits] = there.made.head(there.made.backbone(torch.zeros_like(there.made.x[:1]))).numpy()
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert [row[0] for row in rows] == ["a", "b", "c"]
    np.testing.assert_allclose([float(row[1]) for row in rows], logits, atol=1e-5)
