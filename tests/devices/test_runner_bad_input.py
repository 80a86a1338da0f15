"""Whatever the native runner is given, it ends with one line that says what is wrong, and status 1."""

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native import Made, Said, make_release, run_verb, timing
from safetensors.numpy import load_file, save_file

from toolkit.devices.digests import sha256_of
from toolkit.runtimes import executorch

pytestmark = pytest.mark.usefixtures("compiler")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("bad") / "release", "mlp", executorch)


@pytest.fixture
def release(made: Made, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(made.bundle.folder, tmp_path / "release"))


def _infer(folder: Path, release: Path, **more: Any) -> Said:
    save_file({"inputs.x": np.zeros((2, 12), np.float32)}, folder / "in")
    spec = {"release": str(release), "inputs": str(folder / "in"), "outputs": str(folder / "out"), "threads": 1, **more}
    return run_verb(folder, "infer", spec)


def _verify(folder: Path, release: Path) -> Said:
    digest = sha256_of(release / "manifest.json")
    return run_verb(folder, "verify", {"release": str(release), "digest": digest, "threads": 1, **timing()})


def _fails(said: Said, *words: str) -> None:
    assert said.status == 1, said
    assert said.last["event"] == "error", said
    assert all(word in said.last["message"] for word in words), said.last


def _edit(release: Path, **changes: Any) -> None:
    path = release / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_unknown_verb(tmp_path: Path) -> None:
    _fails(run_verb(tmp_path, "dance", {}), "unknown verb: dance")
    _fails(run_verb(tmp_path, "", None), "verb")


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"a": }', "\x00\xff", "[" * 100_000])
def test_a_specification_that_is_no_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "text.json").write_text(text, encoding="latin-1")
    said = run_verb(tmp_path, f"bench '{tmp_path / 'text.json'}'", None)
    _fails(said, "text.json", "no JSON object")
    _fails(run_verb(tmp_path, f"bench '{tmp_path / 'absent.json'}'", None), "absent.json", "No such file")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "runtime"),
        ({"runtime": "onnxruntime"}, "unknown runtime: onnxruntime"),
        ({"runtime": "executorch", "threads": 0, "programs": [{}]}, "threads is 0"),
        ({"runtime": "executorch", "threads": "two", "programs": [{}]}, "string"),
        ({"runtime": "executorch", "threads": 1, "cpu_affinity": [4000], "programs": [{}]}, "core 4000"),
        ({"runtime": "executorch", "threads": 1, "cpu_affinity": [900], "programs": [{}]}, "[900]"),
    ],
)
def test_a_specification_with_fields_that_do_not_work(tmp_path: Path, spec: dict[str, Any], words: str) -> None:
    _fails(run_verb(tmp_path, "bench", spec), words)


def test_a_program_that_is_absent_cut_short_or_noise(release: Path, tmp_path: Path) -> None:
    program = release / "infer.pte"
    whole = program.read_bytes()
    program.unlink()
    _fails(_infer(tmp_path, release), "infer.pte", "No such file")
    for size in (0, 10, 100, len(whole) // 2, len(whole) - 40):
        program.write_bytes(whole[:size])
        _fails(_infer(tmp_path, release), "infer.pte")
    program.write_bytes(np.random.default_rng(0).bytes(len(whole)))
    _fails(_infer(tmp_path, release), "infer.pte")


def test_flipped_bytes_never_end_in_silence(release: Path, tmp_path: Path) -> None:
    """Digests find them first; a program that is run all the same may compute anything, but must say how it ended."""
    program = release / "infer.pte"
    whole = program.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(whole)
        for position in generator.integers(0, len(whole), 8):
            damaged[position] ^= int(generator.integers(1, 256))
        program.write_bytes(bytes(damaged))
        said = _infer(tmp_path, release)
        assert (said.status, said.last["event"]) in ((0, "done"), (1, "error")), said


def test_inputs_that_are_not_the_programs(release: Path, tmp_path: Path) -> None:
    path = str(release / "infer.pte")
    tensors = load_file(release / "tensors.safetensors")
    manifest = json.loads((release / "manifest.json").read_text())
    holes = {name: list(tensors[name].shape) for name in manifest["infer"]["holes"]}

    def bench(inputs: list[list[int]], holes: dict[str, list[int]], **more: Any) -> Said:
        entry = {"id": "p", "path": path, "inputs": inputs, "holes": holes, **more}
        return run_verb(tmp_path, "bench", {"runtime": "executorch", "threads": 1, **timing(), "programs": [entry]})

    assert bench([[1, 12]], holes).status == 0
    own = str(release / "acceptance.safetensors")
    assert bench([], holes, example={"path": own, "names": ["inputs.x"]}).status == 0
    _fails(bench([], holes, example={"path": own, "names": ["outputs.logits"]}), "input 0 is 1 x 12, 1 x 3 given")
    _fails(bench([], holes, example={"path": own, "names": ["inputs.y"]}), "no tensor 'inputs.y'")
    _fails(bench([], holes), "takes 1 inputs, 0 given")
    _fails(bench([[1, 12], [1]], holes), "takes 1 inputs, 2 given")
    _fails(bench([[1, 13]], holes), "input 0 is 1 x 12, 1 x 13 given")
    _fails(bench([[-1, 12]], holes), "negative")
    _fails(bench([[1, 12]], {}), "infer.pte")
    _fails(bench([[1, 12]], holes | {"more": [3, 4]}), "has no hole 'more' of 12 values")


@pytest.mark.parametrize("name", ["../infer.pte", "/etc/passwd", "..", "a/b", ""])
def test_names_that_leave_the_folder(release: Path, tmp_path: Path, name: str) -> None:
    files = json.loads((release / "manifest.json").read_text())["files"]
    _edit(release, files={**files, name: {"sha256": "0", "bytes": 1}})
    _fails(_verify(tmp_path, release), "outside its folder")
    _edit(release, files=files, infer={"program": name, "holes": []})
    _fails(_infer(tmp_path, release), "outside its folder")


def test_a_damaged_release_is_named_and_not_run(release: Path, tmp_path: Path) -> None:
    (release / "gradient.pte").write_bytes(b"x")
    (release / "acceptance.safetensors").unlink()
    said = _verify(tmp_path, release)
    assert said.status == 0
    assert said.last["corrupt"] == ["acceptance.safetensors", "gradient.pte"]
    wrong = run_verb(tmp_path, "verify", {"release": str(release), "digest": "0" * 64, "threads": 1, **timing()})
    assert wrong.last["corrupt"] == ["manifest.json"]


def test_outputs_that_are_no_numbers_differ_infinitely(release: Path, tmp_path: Path) -> None:
    tensors = load_file(release / "tensors.safetensors")
    save_file(tensors | {"head.bias": np.full(3, np.nan, np.float32)}, release / "tensors.safetensors")
    files = json.loads((release / "manifest.json").read_text())["files"]
    _edit(release, files=files | {"tensors.safetensors": {"sha256": sha256_of(release / "tensors.safetensors")}})
    said = _verify(tmp_path, release)
    assert said.status == 0, said
    assert said.last["max_abs_difference"] == said.last["max_relative_difference"] == float("inf")


def _header(entry: Any, data: bytes = b"") -> bytes:
    text = json.dumps(entry).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 3) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        _header({"x": 1}),
        _header({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
        _header({"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, b"12345678"),
        _header({"x": {"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]}}, b"12345678"),
        _header({"x": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, b"12345678"),
        _header({"x": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, b"12345678"),
        _header({"x": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}, b"12345678"),
        _header({"x": {"dtype": "F32", "shape": "two", "data_offsets": [0, 8]}}, b"12345678"),
        _header({"x": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}, b"12345678"),
        _header({"y": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"12345678"),
    ],
)
def test_tensor_files_that_do_not_add_up(release: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "broken").write_bytes(data)
    _fails(_infer(tmp_path, release, inputs=str(tmp_path / "broken")), "broken")


def test_a_full_disk_leaves_no_half_of_a_file(release: Path, tmp_path: Path, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(900_000))
    save_file({"inputs.x": np.zeros((40_000, 12), np.float32)}, tmp_path / "many")
    said = _infer(tmp_path, release, inputs=str(tmp_path / "many"), outputs=str(small_disk / "out"))
    _fails(said, "out.part", "No space left")
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
