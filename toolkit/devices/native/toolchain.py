"""A C++ compiler for a board's machine, and what it knows: C and C++ libraries, the loader."""

import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import BadInput

_LOADERS = {"aarch64": "ld-linux-aarch64.so.1", "x86_64": "ld-linux-x86-64.so.2"}


@dataclass(frozen=True)
class Toolchain:
    """`prefix` precedes the names of its programs; empty for this machine's own."""

    machine: str
    prefix: str

    def program(self, name: str) -> str:
        """`g++`, `strip` or `objdump` for that machine."""
        return self.prefix + name

    def version(self) -> str:
        """What the compiler says it is."""
        return self.run("g++", "--version").splitlines()[0]

    def library(self, name: str) -> Path:
        """The file that the compiler links or loads as `name`, its symbolic links followed."""
        path = Path(self.run("g++", f"-print-file-name={name}").strip())
        if not path.is_absolute():
            raise _missing(self.machine, self.prefix, name)
        return path.resolve()

    def run(self, name: str, *arguments: str | Path) -> str:
        """Stdout of one of its programs. Raises RuntimeError with the end of what it complained of."""
        done = subprocess.run([self.program(name), *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.program(name)} failed: {done.stderr[-2000:]}")
        return done.stdout


def loader_name(machine: str) -> str:
    """The dynamic loader of a Linux on that machine. Raises BadInput if ExecuTorch has no libraries for it."""
    if machine not in _LOADERS:
        raise BadInput(
            f"ExecuTorch comes for {' and '.join(sorted(_LOADERS))}, not for {machine}",
            where="--runtime executorch",
            next="Use --runtime onnxruntime on this board.",
        )
    return _LOADERS[machine]


def find_toolchain(machine: str) -> Toolchain:
    """The installed compiler for that machine. Raises BadInput with the package to install."""
    loader_name(machine)
    prefix = "" if machine == platform.machine() else f"{machine}-linux-gnu-"
    for program in ("g++", "strip", "objdump"):
        if shutil.which(prefix + program) is None:
            raise _missing(machine, prefix, prefix + program)
    return Toolchain(machine, prefix)


def _missing(machine: str, prefix: str, what: str) -> BadInput:
    package = f"g++-{machine.replace('_', '-')}-linux-gnu" if prefix else "g++"
    return BadInput(
        f"{what} is not installed: the runner is compiled on this machine",
        where="--runtime executorch",
        next=f"apt-get install {package}",
    )
