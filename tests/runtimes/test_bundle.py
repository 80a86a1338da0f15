"""A bundle on disk says what it holds, to the byte, and the agent's fold is the module's."""

import copy
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learning import learning_of
from networks import build, compacted
from torch import nn

from edge_runtime.digests import corrupt_files, read_manifest
from edge_runtime.release import load_inference, load_tensors
from edge_runtime.tensors import read_arrays, write_arrays
from toolkit.choice import Precision
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.preprocessing import Preprocessing, read_told
from toolkit.runtimes import onnxruntime
from toolkit.runtimes.bundle import (
    Bundle,
    export_inference,
    read_bundle,
    serving_holes,
    trainable_names,
    write_bundle,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, nn.Module, nn.Linear, torch.Tensor]:
    folder = tmp_path_factory.mktemp("bundle")
    model, x = build("mlp")
    network = split_head(model, inputs_of(x[:1]))
    assert network.head is not None
    backbone = compacted(network.backbone, network.head, x)
    learning = learning_of(onnxruntime, backbone, network.head, x)
    inference = export_inference(onnxruntime, backbone, network.head, inputs_of(x[:1]))
    classes = ("a", "b", "c")
    write_bundle(
        folder, onnxruntime, "1.31.1", "any", backbone, network.head, classes, inputs_of(x[:2]), inference, learning
    )
    return read_bundle(folder), backbone, network.head, x


def test_the_manifest_holds_the_digest_and_size_of_every_other_file(
    written: tuple[Bundle, nn.Module, nn.Linear, torch.Tensor],
) -> None:
    bundle = written[0]
    files = {file.name: file.read_bytes() for file in bundle.folder.iterdir() if file.name != "manifest.json"}
    assert bundle.manifest["files"] == {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()
    }
    manifest = (bundle.folder / "manifest.json").read_bytes()
    assert bundle.digest == hashlib.sha256(manifest).hexdigest()
    assert bundle.total_bytes == len(manifest) + sum(map(len, files.values()))
    assert bundle.inference_bytes == len(files["infer.onnx"]) + len(files["tensors.safetensors"])


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("fp16", 2e-2), ("int8", 4 / 127)])
def test_the_manifest_says_how_exact_a_board_must_be(
    written: tuple[Bundle, nn.Module, nn.Linear, torch.Tensor], tmp_path: Path, precision: Precision, tolerance: float
) -> None:
    """See `toolkit.runtimes.tolerance` for where the figures come from."""
    _, backbone, head, x = written
    program = export_inference(onnxruntime, backbone, head, inputs_of(x[:1]))
    made = (onnxruntime, "1", "any", backbone, head, ("a", "b", "c"), inputs_of(x[:1]), program, None)
    write_bundle(tmp_path, *made, precision)
    assert read_bundle(tmp_path).tolerance == pytest.approx(tolerance)


def test_how_inputs_are_made_travels_with_the_release(
    written: tuple[Bundle, nn.Module, nn.Linear, torch.Tensor], tmp_path: Path
) -> None:
    (tmp_path / "mine.json").write_text("{}")
    _, backbone, head, x = written
    program = export_inference(onnxruntime, backbone, head, inputs_of(x[:1]))
    given = (onnxruntime, "1", "any", backbone, head, ("a", "b", "c"), inputs_of(x[:1]), program, None)
    texts = Preprocessing("texts", tokenizer=tmp_path / "mine.json", padding_id=0)
    for made in (None, Preprocessing("images", mean=(0.5,), std=(0.1, 0.2, 0.3)), texts):
        folder = tmp_path / (made.kind if made else "nothing")
        folder.mkdir()
        write_bundle(folder, *given, measure="accuracy", preprocessing=made)
        manifest = read_bundle(folder).manifest
        assert manifest["measure"] == "accuracy"
        assert ("tokenizer.json" in manifest["files"]) == (made is texts)
        said = manifest["preprocessing"]
        again = read_told(said, folder) if said else None
        assert again == (made and (made if made is not texts else replace(made, tokenizer=folder / "tokenizer.json")))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_of_a_coarser_program_a_board_must_give_what_it_gives_here(
    written: tuple[Bundle, nn.Module, nn.Linear, torch.Tensor], tmp_path: Path, precision: Precision
) -> None:
    """The program is of weights of which every 30th part is lost: no tolerance for rounding covers that."""
    _, backbone, head, x = written
    coarse = copy.deepcopy(backbone)
    for weight in coarse.state_dict().values():
        step = weight.abs().max() / 30
        weight.copy_((weight / step).round() * step)
    program = export_inference(onnxruntime, coarse, head, inputs_of(x[:1]))
    made = (onnxruntime, "1", "any", backbone, head, ("a", "b", "c"), inputs_of(x[:2]), program, None)
    write_bundle(tmp_path, *made, precision)
    manifest, accepted = read_manifest(str(tmp_path)), read_arrays(str(tmp_path / "acceptance.safetensors"))
    run = load_inference(str(tmp_path), manifest, load_tensors(str(tmp_path), None), 1)
    for index, each in enumerate(accepted["inputs.x"]):
        logits, features = run([each[None]])
        np.testing.assert_array_equal(logits[0], accepted["outputs.logits"][index])
        np.testing.assert_array_equal(features[0], accepted["outputs.features"][index])
    with torch.no_grad():
        exact = backbone(x[:2]).numpy()
    assert np.abs(accepted["outputs.features"] - exact).max() > 1e-3 * np.abs(exact).max()


def test_the_agent_folds_cores_to_the_hosts_outputs(
    written: tuple[Bundle, nn.Module, nn.Linear, torch.Tensor],
) -> None:
    bundle, backbone, head, x = written
    manifest = read_manifest(str(bundle.folder))
    run = load_inference(str(bundle.folder), manifest, load_tensors(str(bundle.folder), None), 1)
    with torch.no_grad():
        features = backbone(x)
        expected = head(features).numpy()
    for index in range(len(x)):
        np.testing.assert_allclose(run([x[index : index + 1].numpy()])[0], expected[index : index + 1], atol=1e-5)


def test_cores_that_the_board_adapted_take_the_place_of_those_installed(
    written: tuple[Bundle, nn.Module, nn.Linear, torch.Tensor], tmp_path: Path
) -> None:
    bundle, backbone, head, x = written
    folder, adapted = str(bundle.folder), str(tmp_path / "adapted.safetensors")
    manifest = read_manifest(folder)
    installed = load_tensors(folder, None)
    write_arrays(adapted, {name: 2 * installed[name] for name in manifest["learn"]["trainables"]})
    run = load_inference(folder, manifest, load_tensors(folder, adapted), 1)
    parameters = {f"backbone.{name}": value for name, value in backbone.named_parameters()}
    doubled = {name[9:]: 2 * value for name, value in parameters.items() if name in manifest["learn"]["trainables"]}
    with torch.no_grad():
        expected = 2 * head(torch.func.functional_call(backbone, doubled, (x[:1],)))
    np.testing.assert_allclose(run([x[:1].numpy()])[0], expected.numpy(), atol=1e-5)


def test_a_flipped_bit_and_a_missing_file_are_found(
    written: tuple[Bundle, nn.Module, nn.Linear, torch.Tensor], tmp_path: Path
) -> None:
    for file in written[0].folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    digest = written[0].digest
    assert corrupt_files(str(tmp_path), digest) == []
    data = bytearray((tmp_path / "infer.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "infer.onnx").write_bytes(data)
    (tmp_path / "tensors.safetensors").unlink()
    assert sorted(corrupt_files(str(tmp_path), digest)) == ["infer.onnx", "tensors.safetensors"]
    (tmp_path / "manifest.json").write_text("{}")
    assert corrupt_files(str(tmp_path), digest) == ["manifest.json"]


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "", "..", "a/b"])
def test_a_manifest_may_not_name_a_file_outside_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {name: {}}}))
    with pytest.raises(ValueError, match="outside its folder"):
        read_manifest(str(tmp_path))


def test_nothing_in_a_bundle_tells_of_the_machine_that_made_it(
    written: tuple[Bundle, nn.Module, nn.Linear, torch.Tensor],
) -> None:
    for file in written[0].folder.iterdir():
        for trace in (b"site-packages", b"/root", b"/home", str(Path.cwd()).encode()):
            assert trace not in file.read_bytes(), file.name


def test_a_dense_model_serves_and_trains_its_head_alone() -> None:
    dense, head = nn.Linear(2, 2), nn.Linear(2, 2)
    assert serving_holes(dense, head) == trainable_names(dense, head) == ("head.weight", "head.bias")
    assert serving_holes(dense, nn.Identity()) == trainable_names(dense, nn.Identity()) == ()
