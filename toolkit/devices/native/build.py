"""The native runner for ExecuTorch programs: built here on first use, for this machine or another, and kept.

What comes out is a folder to put on a board as it is: the runner, ExecuTorch's libraries, and the loader and C and C++
libraries that it was linked with, so that it also starts where those are older or other ones.
"""

import shlex
import shutil
from pathlib import Path

import edge_runtime
from toolkit.cache import cached, digest
from toolkit.devices.native.libstdcxx import link_libstdcxx
from toolkit.devices.native.sdk import LIBRARIES, Sdk, find_sdk, versions
from toolkit.devices.native.toolchain import Toolchain, find_toolchain, loader_name
from toolkit.sources import code_digest

# What applications will call, too, and the agent's verbs.
_SOURCES = (Path(edge_runtime.__file__).parent / "native", Path(__file__).parents[1] / "agent" / "runner")
_PROGRAM = "runner"
_SYSTEM_LIBRARIES = ("libc.so.6", "libm.so.6", "libgcc_s.so.1", "libdl.so.2", "libpthread.so.0")
_FLAGS = (
    *("-std=c++20", "-O2", "-ffunction-sections", "-fdata-sections"),
    # No copies of the C++ library's objects in the program: each must be seen as one that the library has to have.
    "-fPIC",
    # As ExecuTorch itself was compiled: its headers look at them.
    *("-DC10_USING_CUSTOM_GENERATED_MACROS", "-DET_EVENT_TRACER_ENABLED"),
)


def build_runner(machine: str) -> Path:
    """The folder of files to put on a board of that machine, e.g. `aarch64`.

    Raises BadInput with what to install, or BoardError if ExecuTorch's libraries cannot be fetched.
    """
    toolchain = find_toolchain(machine)
    sources = {path.name: path.read_text(encoding="utf-8") for path in _sources("*.[ch]pp")}
    code = code_digest("toolkit.devices.native")
    key = digest(machine, toolchain.version(), versions(), sources, code)[:16]
    folder, _ = cached("runners", key, lambda folder: _build(toolchain, find_sdk(machine), folder))
    return folder


def runner_command(folder_on_board: str, machine: str) -> str:
    """What a board's shell runs to start the runner in that folder; the verb and its specification follow.

    The loader must be executable there. It is given the folder as the only place to look for libraries.
    """
    folder = shlex.quote(folder_on_board)
    return f"{folder}/{loader_name(machine)} --library-path {folder} {folder}/{_PROGRAM}"


def _build(toolchain: Toolchain, sdk: Sdk, folder: Path) -> None:
    shipped = [folder / name for name in LIBRARIES]
    for library in shipped:
        shutil.copyfile(sdk.libraries / library.name, library)
        toolchain.run("strip", library)
    program = _compile(toolchain, sdk, folder)
    link_libstdcxx(toolchain, [program, *shipped], folder)
    for name in (loader_name(toolchain.machine), *_SYSTEM_LIBRARIES):
        shutil.copyfile(toolchain.library(name), folder / name)
    for name in (_PROGRAM, loader_name(toolchain.machine)):
        (folder / name).chmod(0o755)


def _compile(toolchain: Toolchain, sdk: Sdk, folder: Path) -> Path:
    # As one file, which takes a quarter of the time: most of it goes into headers.
    whole = folder / "whole.cpp"
    whole.write_text("".join(f'#include "{path}"\n' for path in _sources("*.cpp")), encoding="utf-8")
    program = folder / _PROGRAM
    includes = [*(f"-I{each}" for each in _SOURCES), *(f"-isystem{path}" for path in sdk.headers)]
    # Kernels and backends register themselves when they are loaded: nothing names them.
    libraries = [f"-L{folder}", "-Wl,--no-as-needed", *(f"-l:{name}" for name in LIBRARIES)]
    version = f'-DEXECUTORCH_VERSION="{sdk.executorch_version}"'
    toolchain.run("g++", *_FLAGS, version, *includes, "-s", "-Wl,--gc-sections", "-o", program, whole, *libraries)
    whole.unlink()
    return program


def _sources(pattern: str) -> list[Path]:
    return [path for folder in _SOURCES for path in sorted(folder.glob(pattern))]
