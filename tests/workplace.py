"""A user's working folder: a target of its own on this machine, a small model, a small task, a cache."""

import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolkit.cli.app import app
from toolkit.cli.errors import run_cli
from toolkit.devices import Agent, Home, open_home
from toolkit.devices.local import LocalDevice
from toolkit.devices.python_agent import install_python_agent
from toolkit.devices.releases.manifest import VERSION
from toolkit.targets import Target, read_target

CHECKOUT = Path(__file__).parents[1]
MODEL, TASK = "my_package.small:model", "my_package.small:task"
TWO_BLOCKS, THREE_BLOCKS = "my_package.residual:two_blocks", "my_package.residual:three_blocks"
FEW_STEPS = ("--set", "recovery.steps=3", "--set", "adaptation.steps=5")
# Ranks in fp32 alone: for tests of what has nothing to do with what else may be chosen.
PLAIN: Any = {"precision": "fp32", "channels": False, "depth": False}
ONLY_RANKS = ("--precision", "fp32", "--set", "compression.channels=false", "--set", "compression.depth=false")
WHAT = ("--target", "desk", "--model", MODEL, "--task", TASK, *ONLY_RANKS)
ROOMY_MS = 10_000.0  # a latency budget that no machine misses, however busy
ROOMY = ("--latency", "10s")
RUN = (*WHAT, *FEW_STEPS, *ROOMY, "--size", "30KB")

_TARGET = """
name = "desk"
summary = "this machine in a folder of its own"
arch = "any"
runtimes = ["onnxruntime", "executorch"]
root = "{root}"
[place]
transport = "local"
[budget]
memory_fraction = 0.5
"""
_SMALL = """
from collections import OrderedDict

import torch
from torch import nn
from toolkit.tasks import Examples, Task

def model():
    torch.manual_seed(0)
    convolution = nn.Conv2d(1, 16, 3, stride=2, padding=1)
    rest = nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 5)
    return nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), *rest)

def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 5))

def odd():
    torch.manual_seed(0)
    layers = {
        "first": nn.Conv2d(1, 16, 3, stride=2, padding=1),
        "grown": nn.ConvTranspose2d(16, 4, 2, stride=2),
        "shares": nn.Softmax(1),
        "flat": nn.Flatten(),
        "last": nn.Linear(256, 5),
    }
    return nn.Sequential(OrderedDict(layers))

def wide():
    torch.manual_seed(0)
    layers = nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU()
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(1024, 5))

def task(shots, seed):
    means = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(seed)

    def draw(count):
        y = torch.arange(3).repeat_interleave(count)
        return Examples(means[y] + 0.3 * torch.randn(len(y), 1, 8, 8, generator=generator), y)

    return Task("blobs", ("a", "b", "c"), draw(shots), draw(4))
"""

_RESIDUAL = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.Conv2d(8, 8, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        for norm in (self.norm1, self.norm2):  # as of a trained network: no two tensors of a file are the same
            for values in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
                values.uniform_(0.5, 1.5)

    def forward(self, x):
        return torch.relu(x + self.norm2(self.second(torch.relu(self.norm1(self.first(x))))))

def stacked(blocks, width):
    torch.manual_seed(0)
    stem, rest = nn.Conv2d(1, 8, 3, 2, 1), (nn.Flatten(), nn.Linear(128, width), nn.ReLU(), nn.Linear(width, 5))
    return nn.Sequential(stem, nn.ReLU(), *[Block() for _ in range(blocks)], *rest).eval()

def two_blocks():
    return stacked(2, 32)

def three_blocks():
    return stacked(3, 16)
"""


@dataclass(frozen=True)
class Workplace:
    """`folder` is the working folder; `root` is the folder of the target `desk` on this machine, with a space in it."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "my board"

    @property
    def target(self) -> Target:
        return read_target(self.folder / "targets" / "desk.toml")

    def target_in(self, root: Path | str) -> Target:
        """The same target with another folder of ours."""
        return self.target.model_copy(update={"root": str(root)})

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(CHECKOUT), "EDGE_DEPLOY_CACHE": str(self.cache)}

    def deploy(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The real command line in this folder, but in this process: another one imports torch for seconds."""
        before = signal.getsignal(signal.SIGTERM)
        with inside(self), pytest.MonkeyPatch.context() as patch, StringIO() as out, StringIO() as err:
            for name, value in ({"COLUMNS": "80"} | environment).items():
                patch.setenv(name, value)
            try:
                with redirect_stdout(out), redirect_stderr(err):
                    exit_code = run_cli(app, list(arguments))
            finally:
                signal.signal(signal.SIGTERM, before)
            return subprocess.CompletedProcess(arguments, exit_code, out.getvalue(), err.getvalue())

    def interrupt(self, stage: str, *arguments: str, by: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """The command line as a process of its own that gets a signal as the stage begins; exit code and stderr."""
        begins = f"· {stage}"
        process = subprocess.Popen(
            [sys.executable, CHECKOUT / "tests" / "stopping.py", begins, *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr
        with process:
            said = []
            for line in process.stderr:
                said.append(line)
                if line.rstrip() == begins:
                    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                    process.send_signal(by)
                    process.send_signal(signal.SIGCONT)
        return process.returncode, "".join(said)

    def releases(self) -> dict[str, Any]:
        """What `current` and `previous` name, and what there is."""
        links = {
            name: (self.root / name).readlink().name if (self.root / name).is_symlink() else None
            for name in ("current", "previous")
        }
        folder = self.root / "releases"
        return {**links, "available": sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []}

    def left_behind(self) -> list[str]:
        """What lies in the board's workplace."""
        return [path.name for path in (self.root / "work").iterdir()] if self.root.is_dir() else []


def make_workplace(folder: Path) -> Workplace:
    """Fill an empty folder."""
    place = Workplace(folder)
    (folder / "targets").mkdir()
    _write_target(place)
    (folder / "my_package").mkdir()
    (folder / "my_package" / "__init__.py").touch()
    (folder / "my_package" / "small.py").write_text(_SMALL)
    (folder / "my_package" / "residual.py").write_text(_RESIDUAL)
    return place


def copy_workplace(place: Workplace, folder: Path) -> Workplace:
    """All of it, the board included, in a folder that need not exist."""
    shutil.copytree(place.folder, folder, symlinks=True, dirs_exist_ok=True)
    copy = Workplace(folder)
    _write_target(copy)
    return copy


def _write_target(place: Workplace) -> None:
    (place.folder / "targets" / "desk.toml").write_text(_TARGET.format(root=place.root))


def local_home(place: Workplace) -> Home:
    """Our folder on the target `desk`."""
    return open_home(LocalDevice(), place.target)


def local_agent(place: Workplace) -> Agent:
    """The Python agent of the target `desk`."""
    return install_python_agent(local_home(place), place.target)


def bundle(folder: Path, size: int = 1000, seed: int = 0) -> tuple[Path, str]:
    """A folder with the form of a bundle, and its digest. No program: nothing here runs it."""
    folder.mkdir(exist_ok=True)
    content = np.random.default_rng([seed, size]).bytes(size)
    (folder / "infer.onnx").write_bytes(content)
    (folder / "tensors.safetensors").write_bytes(content[::-1])
    files = {
        file.name: {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "bytes": file.stat().st_size}
        for file in folder.iterdir()
        if file.name != "manifest.json"
    }
    manifest = json.dumps({"manifest_version": VERSION, "arch": "any", "files": files}).encode()
    (folder / "manifest.json").write_bytes(manifest)
    return folder, hashlib.sha256(manifest).hexdigest()


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one or two lines with which a run ended, progress and the libraries' warnings apart."""
    assert done.returncode not in (0, 130), done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    errors = [index for index, line in enumerate(lines) if line.startswith("error ")]
    assert len(errors) == 1, done.stderr
    ending = lines[errors[0] :]
    assert len(ending) <= 2, done.stderr
    return "\n".join(ending)


def one_object(stdout: str) -> dict[str, Any]:
    """Stdout as what `--json` promises."""
    found = json.loads(stdout)
    assert isinstance(found, dict)
    return found


@contextmanager
def inside(place: Workplace) -> Iterator[None]:
    """This process in that folder, with its cache and its packages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.folder)
        patch.setenv("EDGE_DEPLOY_CACHE", str(place.cache))
        patch.setattr(sys, "path", [str(place.folder), *sys.path])
        _forget_packages()
        yield
    _forget_packages()


def _forget_packages() -> None:
    """The next import reads `my_package` of the folder that this process is in by then."""
    for name in [name for name in sys.modules if name.split(".")[0] == "my_package"]:
        del sys.modules[name]
    importlib.invalidate_caches()
