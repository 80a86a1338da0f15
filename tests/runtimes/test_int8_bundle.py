"""An int8 release: what the host accepted, and what a board computes once it has learned."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from learning import learning_of, whole_of
from native import run_verb
from networks import build, compacted
from torch import nn

from edge_runtime.plain import write_plain
from edge_runtime.release import fill_holes, load_inference, load_tensors
from edge_runtime.served import state_of_release
from edge_runtime.tensors import read_arrays, write_arrays
from toolkit.compression import compact_layers
from toolkit.devices.agent.adapt import adapt
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.runtimes import executorch, onnxruntime
from toolkit.runtimes.arithmetic import Activations, Arithmetic, Quantisation
from toolkit.runtimes.bundle import export_inference, read_bundle, serving_tensors, write_bundle


def _network(name: str) -> tuple[nn.Module, nn.Linear, torch.Tensor]:
    model, x = build(name)
    network = split_head(model, inputs_of(x[:1]))
    assert network.head is not None
    return compacted(network.backbone, network.head, x), network.head, x


@pytest.mark.parametrize(
    ("name", "activations"), [("resnet", "unsigned"), ("resnet", "signed"), ("mlp", "signed"), ("encoder", "dynamic")]
)
def test_a_board_computes_with_what_it_learned_what_the_host_does(
    name: str, activations: Activations, tmp_path: Path
) -> None:
    backbone, head, x = _network(name)
    quantisation = Quantisation(Arithmetic("int8", activations), inputs_of(x))
    program = export_inference(onnxruntime, backbone, head, inputs_of(x[:1]), quantisation)
    assert program.quantised_holes
    assert not {"head.weight", "head.bias"} & set(program.quantised_holes)
    made = (onnxruntime, "1.31.1", "any", backbone, head, ("a", "b", "c"), inputs_of(x[:3]), program, None, "int8")
    write_bundle(tmp_path, *made)  # type: ignore[arg-type]
    bundle = read_bundle(tmp_path)
    assert bundle.manifest["infer"]["quantised_holes"] == list(program.quantised_holes)
    tensors = load_tensors(str(tmp_path), None)
    run = load_inference(str(tmp_path), bundle.manifest, tensors, 1)
    accepted = read_arrays(str(tmp_path / "acceptance.safetensors"))
    with torch.no_grad():
        features = backbone(x[:3]).numpy()
    given = np.concatenate([run([each[None]])[1] for each in accepted["inputs.x"]])
    np.testing.assert_array_equal(given, accepted["outputs.features"])
    # Networks of random weights, six examples for ranges: some layers lose more than those of test_onnx_int8.
    assert np.linalg.norm(given - features) < 0.1 * np.linalg.norm(features)
    # Cores change on the board, and the head with them; int8 values and steps follow, to the bit.
    torch.manual_seed(1)
    with torch.no_grad():
        for layer in compact_layers(backbone).values():
            layer.core.weight.mul_(1.5)
        head.weight.normal_()
    learned = serving_tensors(backbone, head)
    there, here = fill_holes(bundle.manifest, learned), fill_holes(bundle.manifest, tensors)
    again = load_inference(str(tmp_path), bundle.manifest, learned, 1)([x[:1].numpy()])
    for hole in program.quantised_holes:
        # To 1e-6: what the fold rounds in its last bits.
        np.testing.assert_allclose(there[f"{hole}.scale"], 1.5 * here[f"{hole}.scale"], rtol=1e-6)
        steps, former = there[f"{hole}.quantised"].astype(int), here[f"{hole}.quantised"].astype(int)
        assert np.abs(steps - former).max() <= 1
    assert not np.array_equal(again[0], run([x[:1].numpy()])[0])


def test_layers_of_a_backbone_stay_fp32_by_their_own_names() -> None:
    backbone, head, x = _network("mlp")
    first, *others = compact_layers(backbone)
    quantisation = Quantisation(Arithmetic("int8", "signed"), inputs_of(x), fp32_layers=frozenset({first}))
    program = export_inference(onnxruntime, backbone, head, inputs_of(x[:1]), quantisation)
    assert program.fp32_layers == ()
    assert program.quantised_holes == tuple(f"backbone.{name}.down.weight" for name in others)


def test_an_int8_release_learns_on_the_board(tmp_path: Path) -> None:
    """Cores train in fp32 there; what they fold to is rounded, and predicts as the fp32 network with those cores."""
    backbone, head, x = _network("mlp")
    whole = whole_of(backbone, head)
    torch.manual_seed(0)
    centres = torch.randn(head.out_features, *x.shape[1:])
    y = torch.arange(24) % head.out_features
    support = centres[y] + 0.5 * torch.randn(24, *x.shape[1:])
    learning = learning_of(onnxruntime, backbone, head, support)
    quantisation = Quantisation(Arithmetic("int8", "unsigned"), inputs_of(support))
    program = export_inference(onnxruntime, backbone, head, inputs_of(x[:1]), quantisation)
    release = tmp_path / "release"
    release.mkdir()
    classes = tuple(map(str, range(head.out_features)))
    made = (onnxruntime, "1.31.1", "any", backbone, head, classes, inputs_of(x[:2]), program, learning, "int8")
    write_bundle(release, *made)  # type: ignore[arg-type]
    write_arrays(str(tmp_path / "support"), {"inputs.x": support.numpy(), "targets.y": y.numpy(), "strata": y.numpy()})
    paths = {"release": str(release), "support": str(tmp_path / "support"), "adapted": str(tmp_path / "adapted")}
    result = adapt({**paths, "steps": 30, "lr": 1e-2, "jitter": {}, "seed": 0, "threads": 1}, lambda *_, **__: None)
    assert result["accepted"], result
    assert result["held_out"]["loss_after"] < 0.5 * result["held_out"]["loss_before"]
    tensors = load_tensors(str(release), paths["adapted"])
    run = load_inference(str(release), read_bundle(release).manifest, tensors, 1)
    given = np.concatenate([run([each[None]])[0] for each in support.numpy()])
    whole.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()}, strict=False)
    with torch.no_grad():
        expected = whole(support).numpy()
    # Ranges were read with the cores of before, and this rate is ten times the default: what outgrew them is clipped.
    assert np.linalg.norm(given - expected) < 0.2 * np.linalg.norm(expected)
    assert (given.argmax(1) == y.numpy()).mean() >= (expected.argmax(1) == y.numpy()).mean() - 1 / len(y)


@pytest.mark.parametrize(("name", "activations"), [("resnet", "signed"), ("mlp", "unsigned"), ("mlp", "dynamic")])
def test_stock_onnxruntime_loads_it_with_its_holes_beside(name: str, activations: Activations, tmp_path: Path) -> None:
    """Whole numbers and steps of int8 holes, and the head in fp32, each where the program says that it lies."""
    backbone, head, x = _network(name)
    quantisation = Quantisation(Arithmetic("int8", activations), inputs_of(x))
    program = export_inference(onnxruntime, backbone, head, inputs_of(x[:1]), quantisation)
    release = tmp_path / "releases" / "d"
    release.mkdir(parents=True)
    made = (onnxruntime, "1.31.1", "any", backbone, head, ("a", "b"), inputs_of(x[:2]), program, None, "int8")
    write_bundle(release, *made)  # type: ignore[arg-type]
    run = load_inference(str(release), read_bundle(release).manifest, load_tensors(str(release), None), 1)
    folder = write_plain(state_of_release(str(tmp_path), "d"), None)
    options = ort.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # as agents on processors that saturate
    session = ort.InferenceSession(f"{folder}/infer.onnx", options, disabled_optimizers=["WeightBiasQuantization"])
    for row in x[:4].numpy():
        [expected, *_], [given, *_] = run([row[None]]), session.run(None, {"x": row[None]})
        np.testing.assert_allclose(given, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(("name", "activations"), [("resnet", "signed"), ("mlp", "signed"), ("mlp", "dynamic")])
def test_the_native_runner_gives_what_this_machine_accepted(
    name: str, activations: Activations, tmp_path: Path
) -> None:
    """What the modules compute, as int8 rounds it, was off by more than two machines with one program are."""
    backbone, head, x = _network(name)
    quantisation = Quantisation(Arithmetic("int8", activations), inputs_of(x))
    program = export_inference(executorch, backbone, head, inputs_of(x[:1]), quantisation)
    assert program.quantised_holes
    made = (executorch, "1", "any", backbone, head, ("a", "b", "c"), inputs_of(x[:3]), program, None, "int8")
    (tmp_path / "release").mkdir()
    write_bundle(tmp_path / "release", *made)  # type: ignore[arg-type]
    paths = {"release": str(tmp_path / "release"), "outputs": str(tmp_path / "out"), "adapted": None}
    accepted = read_arrays(str(tmp_path / "release" / "acceptance.safetensors"))
    write_arrays(str(tmp_path / "in"), {"inputs.x": accepted["inputs.x"]})
    said = run_verb(tmp_path, "infer", {**paths, "inputs": str(tmp_path / "in"), "threads": 1})
    assert said.status == 0, said
    given = read_arrays(str(tmp_path / "out"))["outputs.logits"]
    np.testing.assert_allclose(given, accepted["outputs.logits"], rtol=1e-6)
