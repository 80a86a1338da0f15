"""The programs of `examples/` do on a board what they say."""

import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
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


def test_listen_names_each_window_of_a_recording(place: Workplace) -> None:
    random = np.random.default_rng(0)
    for name in _TONES_HZ:
        for index in range(10):
            write(place.folder / "sounds" / name / f"{index}.wav", tone(name, random))
    (place.folder / "my_package" / "listening.py").write_text(_NETWORK)
    what = "--target", "desk", "--model", "my_package.listening:network", "--task", "sounds"
    done = place.deploy(*what, *ONLY_RANKS, *FEW_STEPS, *ROOMY)
    assert done.returncode == 0, done.stderr
    said = ["low", "high", "high", "middle", "low"]
    write(place.folder / "recording.wav", np.concatenate([tone(name, random) for name in said]))
    heard = subprocess.run(
        [sys.executable, CHECKOUT / "examples" / "listen.py", place.folder / "recording.wav"],
        env={
            "PYTHONPATH": str(place.root / "edge_runtime.pyz"),
            "EDGE_DEPLOY_ROOT": str(place.root),
            "PATH": os.environ["PATH"],
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert heard.returncode == 0, heard.stderr
    rows = [line.split() for line in heard.stdout.splitlines()]
    assert [row[2] for row in rows] == said
    assert [row[0] for row in rows] == ["0.00", "0.20", "0.40", "0.60", "0.80"]
