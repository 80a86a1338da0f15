"""The native runner for ExecuTorch programs: built here on first use, for this machine or another, and kept.

What comes out is a folder to put on a board as it is: the runner, ExecuTorch's libraries, and the loader and C and C++
libraries that it was linked with, so that it also starts where those are older or other ones. In APPLICATION lies what
applications link with: they run with the board's own C and C++ libraries.
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

# What applications call, too, and the agent's verbs.
_SHARED, _VERBS = Path(edge_runtime.__file__).parent / "native", Path(__file__).parents[1] / "agent" / "runner"
_PROGRAM = "runner"
APPLICATION = "application"
_LIBRARY, _HEADERS = "libedge_runtime.so", ("edge_runtime.h", "edge_runtime.hpp")
_SYSTEM_LIBRARIES = ("libc.so.6", "libm.so.6", "libgcc_s.so.1", "libdl.so.2", "libpthread.so.0")
_FLAGS = (
    # Small before fast: what takes time lies in ExecuTorch's libraries, and a board has 16 MB for all of it.
    *("-std=c++20", "-Os", "-ffunction-sections", "-fdata-sections", "-fvisibility=hidden"),
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
    files = [path for folder in (_SHARED, _VERBS) for path in sorted(folder.glob("*.[ch]*"))]
    sources = {path.name: path.read_text(encoding="utf-8") for path in files}
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
    """The runner, and what applications link with."""
    includes = [f"-I{_SHARED}", f"-I{_VERBS}", *(f"-isystem{path}" for path in sdk.headers)]
    flags = [*_FLAGS, f'-DEXECUTORCH_VERSION="{sdk.executorch_version}"', *includes]
    shared, verbs = (_object(toolchain, flags, sources, folder) for sources in (_SHARED, _VERBS))
    # Kernels and backends register themselves when they are loaded: nothing names them.
    libraries = [f"-L{folder}", "-Wl,--no-as-needed", *(f"-l:{name}" for name in LIBRARIES)]
    linking = ["-s", "-Wl,--gc-sections"]
    program = folder / _PROGRAM
    toolchain.run("g++", *linking, "-o", program, verbs, shared, *libraries)
    there = folder / APPLICATION
    there.mkdir()
    # Beside it lie links to ExecuTorch's libraries, and no C library: that is the application's.
    exported = folder / "exported.map"
    exported.write_text("{ global: edge_*; local: *; };\n", encoding="utf-8")
    named = [f"-Wl,-soname,{_LIBRARY}", "-Wl,-rpath,$ORIGIN", f"-Wl,--version-script={exported}"]
    toolchain.run("g++", "-shared", *linking, *named, "-o", there / _LIBRARY, shared, *libraries)
    for name in _HEADERS:
        shutil.copyfile(_SHARED / name, there / name)
    for name in LIBRARIES:
        (there / name).symlink_to(Path("..", name))
    for made in (shared, verbs, exported):
        made.unlink()
    return program


def _object(toolchain: Toolchain, flags: list[str], sources: Path, folder: Path) -> Path:
    # As one file, which takes a quarter of the time: most of it goes into headers.
    whole, made = folder / f"{sources.name}.cpp", folder / f"{sources.name}.o"
    whole.write_text("".join(f'#include "{path}"\n' for path in sorted(sources.glob("*.cpp"))), encoding="utf-8")
    toolchain.run("g++", *flags, "-c", "-o", made, whole)
    whole.unlink()
    return made
