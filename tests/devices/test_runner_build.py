"""Building the native runner: what comes out, and what is said where it cannot be built."""

import hashlib
import platform
import subprocess
from pathlib import Path

import pytest

from toolkit.devices.native import sdk as runner_sdk
from toolkit.devices.native.build import APPLICATION, build_runner, runner_command
from toolkit.devices.native.sdk import LIBRARIES
from toolkit.devices.native.toolchain import Toolchain, find_toolchain, loader_name
from toolkit.errors import BadInput

pytestmark = pytest.mark.usefixtures("compiler")

SOURCES = Path(__file__).parents[2] / "edge_runtime" / "native"
_NEEDED = "NEEDED"
_OF_APPLICATIONS = ("libedge_runtime.so", "edge_runtime.h", "edge_runtime.hpp")
_EXPORTED = {f"edge_{verb}" for verb in ("load", "close", "error", "input", "call", "reload", "info", "learn", "undo")}


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    try:
        find_toolchain(request.param)
    except BadInput as error:
        pytest.skip(f"NO COMPILER: the {request.param} runner is NOT tested; {error.next}")
    return str(request.param)


def test_all_that_it_needs_is_in_its_folder(machine: str) -> None:
    toolchain, folder = find_toolchain(machine), build_runner(machine)
    files = {path.name for path in folder.iterdir() if path.is_file()}
    for name in files:
        assert _needed(toolchain, folder / name) <= files, name
    assert build_runner(machine) == folder


def test_what_applications_link_with_lies_beside_executorch_and_away_from_a_c_library(machine: str) -> None:
    toolchain, folder = find_toolchain(machine), build_runner(machine) / APPLICATION
    assert {path.name for path in folder.iterdir()} == {*LIBRARIES, *_OF_APPLICATIONS}
    assert {path.name for path in folder.iterdir() if path.is_symlink()} == set(LIBRARIES)
    for name in LIBRARIES:
        assert (folder / name).resolve() == (folder.parent / name).resolve()
    needed = _needed(toolchain, folder / "libedge_runtime.so")
    assert set(LIBRARIES) <= needed
    assert needed - set(LIBRARIES) <= {
        "libstdc++.so.6",
        "libm.so.6",
        "libgcc_s.so.1",
        "libc.so.6",
        f"{loader_name(machine)}",
    }
    symbols = toolchain.run("objdump", "-T", folder / "libedge_runtime.so").splitlines()
    # Global, weak or unique, and defined here; a local one is a section.
    rows = [line.split() for line in symbols if line[:1].isdigit() and "*UND*" not in line]
    exported = {row[-1] for row in rows if row[1] != "l"}
    assert exported == _EXPORTED


def _needed(toolchain: Toolchain, path: Path) -> set[str]:
    lines = toolchain.run("objdump", "-p", path).splitlines()
    return {line.split()[1] for line in lines if line.split()[:1] == [_NEEDED]}


def test_a_board_has_room_for_it() -> None:
    try:
        find_toolchain("aarch64")
    except BadInput as error:
        pytest.skip(f"NO COMPILER: the size of the aarch64 runner is NOT tested; {error.next}")
    there = build_runner("aarch64").rglob("*")
    assert sum(path.stat().st_size for path in there if path.is_file() and not path.is_symlink()) <= 16_000_000


def test_a_folder_with_spaces_and_quotes(tmp_path: Path) -> None:
    machine = platform.machine()
    place = tmp_path / "it's here"
    place.symlink_to(build_runner(machine))
    done = subprocess.run(["/bin/sh", "-c", f"{runner_command(str(place), machine)} facts"], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_missing_compiler_is_one_line_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[platform.machine()]
    with pytest.raises(BadInput) as raised:
        build_runner(platform.machine())
    assert raised.value.next == "apt-get install g++"
    with pytest.raises(BadInput) as raised:
        build_runner(other)
    assert raised.value.next == f"apt-get install g++-{other.replace('_', '-')}-linux-gnu"


@pytest.mark.parametrize("machine", ["armv7l", "riscv64", ""])
def test_a_machine_that_executorch_does_not_know(machine: str) -> None:
    with pytest.raises(BadInput, match="not for") as raised:
        build_runner(machine)
    assert raised.value.next == "Use --runtime onnxruntime on this board."


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise runner_sdk.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(runner_sdk.metadata, "version", missing)
    with pytest.raises(BadInput, match="executorch is not installed") as raised:
        runner_sdk.versions()
    assert raised.value.next is not None
    assert "[executorch]" in raised.value.next


def test_sha256_gives_the_standards_digests(tmp_path: Path) -> None:
    """The examples of FIPS 180-4 and every length around the end of a block."""
    if not _has_compiler():
        pytest.skip("NO COMPILER: SHA-256 is NOT tested; apt-get install g++")
    main = tmp_path / "main.cpp"
    main.write_text(
        '#include "sha256.hpp"\n#include <cstdio>\n'
        "int main(int n, char** a) { for (int i = 1; i < n; ++i) std::puts(edge::sha256_of_file(a[i]).c_str()); }\n"
    )
    sources = [SOURCES / "sha256.cpp", SOURCES / "files.cpp", main]
    command = ["g++", "-std=c++20", "-O1", f"-I{SOURCES}", "-o", str(tmp_path / "sums"), *map(str, sources)]
    subprocess.run(command, check=True)
    known = {
        b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        b"a" * 1_000_000: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    }
    around = [bytes(range(size)) for size in (1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129)]
    expected = list(known.values()) + [hashlib.sha256(data).hexdigest() for data in around]
    paths = []
    for index, data in enumerate([*known, *around]):
        paths.append(tmp_path / str(index))
        paths[-1].write_bytes(data)
    done = subprocess.run([tmp_path / "sums", *paths], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected


def _has_compiler() -> bool:
    try:
        find_toolchain(platform.machine())
    except BadInput:
        return False
    return True
