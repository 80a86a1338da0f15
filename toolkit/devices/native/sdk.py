"""Headers and libraries that the runner is built from: ExecuTorch's, out of its wheel, and a JSON parser's."""

import importlib.util
import platform
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from toolkit.cache import cached, digest
from toolkit.errors import BadInput, BoardError

# Without those of other accelerators, of quantised kernels and of tracing.
LIBRARIES = (
    "libexecutorch.so",
    "libexecutorch_kernels_optimized.so",
    "libexecutorch_backend_xnnpack.so",
    "libexecutorch_threadpool.so",
)


@dataclass(frozen=True)
class Sdk:
    """`libraries` holds LIBRARIES for one machine; the headers suit all."""

    executorch_version: str
    json_version: str
    headers: tuple[Path, ...]
    libraries: Path


def versions() -> tuple[str, str]:
    """Of ExecuTorch and of the JSON parser. Raises BadInput with the command that installs them."""
    try:
        return metadata.version("executorch"), metadata.version("nlohmann-json")
    except metadata.PackageNotFoundError as error:
        raise BadInput(
            f"{error.name} is not installed",
            where="--runtime executorch",
            next="In the checkout: .venv/bin/pip install -c constraints.txt -e '.[executorch]'.",
        ) from None


def find_sdk(machine: str) -> Sdk:
    """What to compile and link with for that machine. Raises BadInput, or BoardError without a network."""
    version, json_version = versions()
    installed, json = _folder("executorch"), _folder("nlohmann_json")
    headers = (
        installed / "include",
        installed / "include/executorch/runtime/core/portable_type/c10",
        json / "include",
    )
    libraries = installed / "lib" if machine == platform.machine() else _fetched(machine, version)
    return Sdk(version, json_version, headers, libraries)


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def _fetched(machine: str, version: str) -> Path:
    """The libraries of the wheel for another machine, kept in the cache folder."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"

    def fetch(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += [f"--platform=manylinux_2_28_{machine}", f"--python-version={python}", "--implementation=cp"]
        command += ["--dest", str(folder), f"executorch=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise BoardError(
                f"no wheel of executorch=={version} for {machine}" + (f": {said[-1][7:]}" if said else ""),
                where="--runtime executorch",
                next="Check the network of this machine.",
            )
        [wheel] = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in LIBRARIES:
                (folder / name).write_bytes(archive.read(f"executorch/lib/{name}"))
        wheel.unlink()

    folder, _ = cached("runner-libraries", digest(machine, version, python, LIBRARIES)[:16], fetch)
    return folder
