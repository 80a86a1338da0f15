"""Stock ExecuTorch loads what a board serves as it lies: a program, and a file of what fills its holes."""

import json
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from native import Made, by_stock_executorch, make_release, run_verb
from safetensors.numpy import load_file, save_file

from edge_runtime.digests import sha256
from toolkit.devices.native.sdk import LIBRARIES, find_sdk
from toolkit.runtimes import executorch

_DOCUMENTATION = Path(__file__).parents[2] / "docs" / "on-the-board.md"

pytestmark = pytest.mark.usefixtures("compiler")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("made") / "release", "mlp", executorch, learns=False)


def _ours(folder: Path, release: Path, x: np.ndarray, adapted: str | None) -> np.ndarray:
    save_file({"inputs.x": x}, folder / "given")
    spec = {
        "release": str(release),
        "adapted": adapted,
        "inputs": str(folder / "given"),
        "outputs": str(folder / "out"),
    }
    assert run_verb(folder, "infer", {**spec, "threads": 1}).status == 0
    outputs: np.ndarray = load_file(folder / "out")["outputs.logits"]
    return outputs


def _root(folder: Path, made: Made) -> tuple[Path, str]:
    """A folder as a board has it, with that release and nothing learned."""
    shutil.copytree(made.bundle.folder, folder / "releases" / made.bundle.digest)
    (folder / "adapted").mkdir()
    return folder, made.bundle.digest


@pytest.mark.parametrize("network", ["mlp", "resnet", "attention"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_it_computes_what_the_agent_does_as_installed_and_with_what_was_learned(
    tmp_path: Path, network: str, precision: Literal["fp32", "int8"]
) -> None:
    made = make_release(tmp_path / "made", network, executorch, precision=precision, learns=False)
    root, digest = _root(tmp_path / "root", made)
    x, release = made.x.numpy(), root / "releases" / digest
    spec = {"root": str(root), "digest": digest}
    written = run_verb(tmp_path, "plain", spec)
    assert written.last["folder"] == f"adapted/{digest}/installed"
    np.testing.assert_array_equal(
        by_stock_executorch(root / written.last["folder"], x), _ours(tmp_path, release, x, None)
    )
    learned = {
        name: value + np.float32(0.05)
        for name, value in load_file(release / "tensors.safetensors").items()
        if "core" in name or "head" in name
    }
    adapted = root / "adapted" / f"{digest}.safetensors"
    save_file(learned, adapted)
    written = run_verb(tmp_path, "plain", spec)
    assert written.last["folder"] not in (None, f"adapted/{digest}/installed")
    outputs = by_stock_executorch(root / written.last["folder"], x)
    np.testing.assert_array_equal(outputs, _ours(tmp_path, release, x, str(adapted)))
    assert np.abs(outputs - _ours(tmp_path, release, x, None)).max() > 1e-3
    left = {path.name for path in (root / "adapted" / digest).iterdir()}
    assert left == {"installed", Path(written.last["folder"]).name}


def test_the_lines_of_the_documentation_run_as_they_stand(made: Made, tmp_path: Path) -> None:
    """But for the shape of an example: compiled against stock ExecuTorch, at the path where it says they lie."""
    root, digest = _root(tmp_path / ".edge-deploy", made)
    written = run_verb(tmp_path, "plain", {"root": str(root), "digest": digest}).last["folder"]
    (root / "model").symlink_to(written)
    [said] = re.findall(r"```cpp\n(#include <executorch/.*?)```", _DOCUMENTATION.read_text(), flags=re.DOTALL)
    includes, _, lines = said.partition("\n\n")
    example = made.x[:1].numpy()
    lines = lines.replace("{1, 1, 28, 28}", f"{{{', '.join(map(str, example.shape))}}}")
    values = ", ".join(f"{value:.9g}f" for value in example.ravel())
    (tmp_path / "main.cpp").write_text(
        f"#include <cstdio>\n#include <filesystem>\n#include <vector>\n{includes}\nint main() {{\n"
        f"std::vector<float> x = {{{values}}};\n{lines}\n"
        f'for (int i = 0; i < 3; ++i) std::printf("%.9g\\n", logits[i]);\n}}\n'
    )
    sdk = find_sdk(platform.machine())
    flags = ["-std=c++17", "-DC10_USING_CUSTOM_GENERATED_MACROS", *(f"-isystem{each}" for each in sdk.headers)]
    linked = [
        f"-L{sdk.libraries}",
        f"-Wl,-rpath,{sdk.libraries}",
        "-Wl,--no-as-needed",
        *(f"-l:{x}" for x in LIBRARIES),
    ]
    subprocess.run(["g++", *flags, "main.cpp", "-o", "main", *linked], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
    found = np.array([float(line) for line in done.stdout.split()], np.float32)
    np.testing.assert_array_equal(found, _ours(tmp_path, root / "releases" / digest, example, None)[0])


def test_one_that_was_damaged_is_mended_and_one_that_is_whole_is_left(made: Made, tmp_path: Path) -> None:
    root, digest = _root(tmp_path / "root", made)
    spec = {"root": str(root), "digest": digest}
    folder = root / run_verb(tmp_path, "plain", spec).last["folder"]
    whole = (folder / "holes.ptd").read_bytes()
    before = (folder / "holes.ptd").stat().st_ino
    run_verb(tmp_path, "plain", spec)
    assert (folder / "holes.ptd").stat().st_ino == before
    (folder / "holes.ptd").write_bytes(whole[:-1])
    (folder / "infer.pte").unlink()
    run_verb(tmp_path, "plain", spec)
    assert (folder / "holes.ptd").read_bytes() == whole
    assert (folder / "infer.pte").read_bytes() == (root / "releases" / digest / "infer.pte").read_bytes()


def test_a_layout_that_is_not_the_programs_is_refused(made: Made, tmp_path: Path) -> None:
    """Nothing is written; what was there stays."""
    other = make_release(tmp_path / "other", "resnet", executorch, learns=False)
    root, digest = _root(tmp_path / "root", made)
    layout = (
        root / "releases" / digest / json.loads((made.bundle.folder / "manifest.json").read_text())["infer"]["layout"]
    )
    for wrong in ((other.bundle.folder / "holes.layout").read_bytes(), layout.read_bytes()[:20], b"nothing at all"):
        layout.write_bytes(wrong)
        said = run_verb(tmp_path, "plain", {"root": str(root), "digest": digest})
        assert (said.status, said.last["event"]) == (1, "error"), said
        assert "holes.layout of release" in said.last["message"]
        assert "is missing or damaged" in said.last["message"]
        manifest = json.loads((layout.parent / "manifest.json").read_text())
        manifest["files"][layout.name]["sha256"] = sha256(str(layout))
        (layout.parent / "manifest.json").write_text(json.dumps(manifest))
        said = run_verb(tmp_path, "plain", {"root": str(root), "digest": digest})
        assert "does not fit its program" in said.last["message"]
    assert not (root / "adapted" / digest).exists()
