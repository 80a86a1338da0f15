"""The programs of `examples/` do on a board what they say."""

import os
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from workplace import CHECKOUT, FEW_STEPS, ONLY_RANKS, ROOMY, Workplace

_RATE_HZ, _SAMPLES = 8000, 1600
_TONES_HZ = {"high": 1900.0, "low": 300.0, "middle": 800.0}
_NETWORK = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    layers = nn.Conv1d(1, 24, 64, stride=8), nn.ReLU(), nn.Conv1d(24, 24, 8, stride=4), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(24, 3)).eval()
"""


def tone(name: str, random: np.random.Generator) -> np.ndarray:
    """A window (1600,) of int16 at any phase, in noise."""
    turns = _TONES_HZ[name] * np.arange(_SAMPLES) / _RATE_HZ + random.random()
    return (8000 * np.sin(2 * np.pi * turns) + 400 * random.normal(size=_SAMPLES)).astype(np.int16)


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        file.writeframes(samples.astype("<i2").tobytes())


_SAID = ["low", "high", "high", "middle", "low"]


@pytest.fixture
def deploy_tones(place: Workplace) -> Callable[[str], Path]:
    """Deploys a network that knows the tones, for that runtime; the recording to listen to."""

    def deploy(runtime: str) -> Path:
        random = np.random.default_rng(0)
        for name in _TONES_HZ:
            for index in range(10):
                write(place.folder / "sounds" / name / f"{index}.wav", tone(name, random))
        (place.folder / "my_package" / "listening.py").write_text(_NETWORK)
        what = "--target", "desk", "--model", "my_package.listening:network", "--task", "sounds", "--runtime", runtime
        done = place.deploy(*what, *ONLY_RANKS, *FEW_STEPS, *ROOMY)
        assert done.returncode == 0, done.stderr
        write(place.folder / "recording.wav", np.concatenate([tone(name, random) for name in _SAID]))
        return place.folder / "recording.wav"

    return deploy


def heard(place: Workplace, *command: str | Path, **environment: str) -> None:
    """Each window by its name, and when it began."""
    done = subprocess.run(
        command,
        env={"EDGE_DEPLOY_ROOT": str(place.root), "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[2] for row in rows] == _SAID
    assert [row[0] for row in rows] == ["0.00", "0.20", "0.40", "0.60", "0.80"]


def test_listen_names_each_window_of_a_recording(place: Workplace, deploy_tones: Callable[[str], Path]) -> None:
    recording = deploy_tones("onnxruntime")
    archive = str(place.root / "edge_runtime.pyz")
    heard(place, sys.executable, CHECKOUT / "examples" / "listen.py", recording, PYTHONPATH=archive)


@pytest.mark.usefixtures("compiler")
def test_listen_in_cpp_does_so_for_executorch(place: Workplace, deploy_tones: Callable[[str], Path]) -> None:
    recording, library, program = deploy_tones("executorch"), place.root / "lib", place.folder / "listen"
    made = [
        "g++",
        "-std=c++17",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        CHECKOUT / "examples" / "listen.cpp",
        "-o",
        program,
    ]
    linked = [f"-I{library}", f"-L{library}", "-ledge_runtime", f"-Wl,-rpath,{library}"]
    subprocess.run([*made, *linked], check=True)
    heard(place, program, recording)
    missing = subprocess.run([program, place.folder / "none.wav"], capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stderr) == (1, f"{place.folder / 'none.wav'}: there is no such .wav\n")
