"""What a board serves, as a file that stock ONNX Runtime loads."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from workplace import Workplace, bundle, copy_workplace, local_home, one_object, refusal

from edge_runtime.tensors import read_arrays, write_arrays
from toolkit.devices.releases import release


def outputs(file: Path, x: np.ndarray) -> np.ndarray:
    """The first output for each example, with nothing of ours."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: x[row : row + 1]})[0] for row in range(len(x))])


def test_it_computes_what_the_release_was_accepted_for(deployed_place: Workplace, tmp_path: Path) -> None:
    place = copy_workplace(deployed_place, tmp_path / "copy")
    serving = place.releases()["current"]
    done = place.deploy("export", "--target", "desk", "--to", "made/model.onnx", "--json")
    assert done.returncode == 0, done.stderr
    told = one_object(done.stdout)
    file = place.folder / "made" / "model.onnx"
    assert (told["release"], told["adapted"], told["bytes"]) == (serving, False, file.stat().st_size)
    accepted = read_arrays(str(place.root / "releases" / serving / "acceptance.safetensors"))
    [x] = [value for name, value in accepted.items() if name.startswith("inputs.")]
    np.testing.assert_allclose(outputs(file, x), accepted["outputs.logits"], rtol=1e-4, atol=1e-5)
    metadata = onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == told["classes"] == ["a", "b", "c"]
    assert told["inputs"][0]["shape"] == list(x.shape[1:])
    assert [path.name for path in file.parent.iterdir()] == ["model.onnx"]


def test_with_what_the_board_has_learned(deployed_place: Workplace, tmp_path: Path) -> None:
    place = copy_workplace(deployed_place, tmp_path / "copy")
    serving = place.releases()["current"]
    learned = place.root / "adapted" / f"{serving}.safetensors"
    learned.unlink(missing_ok=True)
    refused = place.deploy("export", "--target", "desk", "--to", "model.onnx", "--adapted")
    assert refused.returncode == 2
    assert "has learned nothing" in refusal(refused)
    tensors = read_arrays(str(place.root / "releases" / serving / "tensors.safetensors"))
    write_arrays(str(learned), {"head.bias": tensors["head.bias"] + np.float32(2)})
    for arguments in ((), ("--adapted",)):
        done = place.deploy("export", "--target", "desk", "--to", f"model{len(arguments)}.onnx", *arguments)
        assert done.returncode == 0, done.stderr
        assert ("with what it has learned" in done.stdout) == bool(arguments)
    x = np.zeros((1, 1, 8, 8), np.float32)
    before, after = (outputs(place.folder / f"model{index}.onnx", x) for index in range(2))
    np.testing.assert_allclose(after, before + 2, rtol=1e-5)


def test_what_cannot_be_exported_is_said_in_two_lines(deployed_place: Workplace, tmp_path: Path) -> None:
    place = copy_workplace(deployed_place, tmp_path / "copy")
    serving = place.releases()["current"]
    absent = "10"[serving.startswith("1")]
    wrong = {
        ("--to", "model.pte"): "whose files end with .onnx",
        ("--to", "model.onnx", "--release", absent): f"no release whose digest begins with {absent}",
        ("--to", "targets/desk.toml/model.onnx"): "cannot be written",
    }
    for arguments, said in wrong.items():
        done = place.deploy("export", "--target", "desk", *arguments)
        assert (done.returncode, said in refusal(done)) == (2, True), done.stderr
    program = place.root / "releases" / serving / "infer.onnx"
    program.write_bytes(program.read_bytes()[:-1])
    done = place.deploy("export", "--target", "desk", "--to", "model.onnx", "--release", serving[:8])
    assert done.returncode == 3
    assert "infer.onnx of release" in refusal(done)
    assert not (place.folder / "model.onnx").exists()


def test_a_board_that_serves_nothing(place: Workplace) -> None:
    done = place.deploy("export", "--target", "desk", "--to", "model.onnx")
    assert done.returncode == 3
    assert "nothing was ever deployed" in refusal(done)
    assert not place.root.exists()
    folder, _ = bundle(place.folder / "bundle")
    release.install(local_home(place), folder)
    done = place.deploy("export", "--target", "desk", "--to", "model.onnx")
    assert done.returncode == 2
    assert "serves no release" in refusal(done)
