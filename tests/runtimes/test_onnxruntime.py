"""ONNX Runtime computes what torch computes; holes take what the board supplies; the file names no machine."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import NETWORKS, build, compacted, loaded
from torch import nn

from toolkit.compression import CompactConv2d, CompactLinear
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.runtimes import export_with_holes, layer_holes, onnxruntime
from toolkit.runtimes.bundle import export_inference, serving_tensors


def _filled(backbone: nn.Module, head: nn.Linear) -> dict[str, np.ndarray]:
    """Holes as the agent fills them: core times basis."""
    values = serving_tensors(backbone, head)
    for name in [each for each in values if each.endswith("down.weight")]:
        core = values[name.replace("down.weight", "core.weight")]
        rank = len(core)
        values[name] = (core.reshape(rank, rank) @ values[name].reshape(rank, -1)).reshape(values[name].shape)
    return values


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_compressed_network_computes_on_the_board_what_it_computes_here(name: str, tmp_path: Path) -> None:
    model, x = build(name)
    network = split_head(model, inputs_of(x[:1]))
    assert network.head is not None
    backbone = compacted(network.backbone, network.head, x)
    program = export_inference(onnxruntime, backbone, network.head, inputs_of(x[:1]))
    run = loaded(onnxruntime, program, tmp_path, _filled(backbone, network.head))
    with torch.no_grad():
        features = backbone(x)
        logits = network.head(features)
    for index in range(3):
        given_logits, given_features = run([x[index : index + 1].numpy()])
        np.testing.assert_allclose(given_logits, logits[index : index + 1].numpy(), atol=1e-5)
        np.testing.assert_allclose(given_features, features[index : index + 1].numpy(), atol=1e-5)


def test_holes_take_what_is_supplied_at_load(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).eval(), torch.randn(1, 6)
    holes = ("2.weight", "2.bias")
    program = onnxruntime.export(export_with_holes(model, inputs_of(x), holes), holes)
    assert program.holes == holes
    for _ in range(2):
        with torch.no_grad():
            model[2].weight.normal_()
            model[2].bias.normal_()
            expected = model(x).numpy()
        values = {name: value.detach().numpy() for name, value in model.named_parameters()}
        np.testing.assert_allclose(loaded(onnxruntime, program, tmp_path, values)([x.numpy()])[0], expected, atol=1e-5)


def test_a_hole_takes_no_room_in_the_file() -> None:
    model, x = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 3)), torch.randn(1, 64)
    program = onnxruntime.export(export_with_holes(model, inputs_of(x), ("0.weight",)), ("0.weight",))
    assert len(program.data) < 4 * 64 * 64
    external = [
        each.name
        for each in onnx.load_from_string(program.data).graph.initializer
        if each.data_location == onnx.TensorProto.EXTERNAL
    ]
    assert external == ["0.weight"]


def test_each_layer_comes_alone_with_its_own_outputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 6, 3, stride=2, padding=1)
    shared = nn.Linear(5, 4)
    layers = [
        shared,
        CompactLinear(6, 5, 2).fold(),
        conv,
        CompactConv2d(conv, 2).fold(),
        shared,
        nn.Linear(5, 4, bias=False),
    ]
    shapes = [(1, 5), (1, 7, 6), (1, 3, 8, 8), (1, 3, 8, 8), (1, 9, 5), (1, 5)]
    inputs = [torch.randn(shape) for shape in shapes]
    programs = onnxruntime.export_layers(layers, inputs)
    assert [program.holes for program in programs] == [(), ("down.weight",), (), ("down.weight",), (), ()]
    for layer, x, program in zip(layers, inputs, programs, strict=True):
        with torch.no_grad():
            expected = layer(x).numpy()
        values = {name: value.detach().numpy() for name, value in layer.named_parameters()}
        assert program.holes == layer_holes(layer)
        assert program.nodes.total == len(onnx.load_from_string(program.data).graph.node) > 0
        np.testing.assert_allclose(loaded(onnxruntime, program, tmp_path, values)([x.numpy()])[0], expected, atol=1e-5)
        inside = sum(value.nbytes for name, value in values.items() if name not in program.holes)
        assert len(program.data) < inside + 4000  # its own weights, not its neighbours'


def test_the_file_does_not_tell_where_it_was_made() -> None:
    model, x = build("mlp")
    programs = [
        onnxruntime.export(export_with_holes(model, inputs_of(x[:1]), ("0.weight",)), ("0.weight",)),
        *onnxruntime.export_layers([nn.Linear(4, 4)], [torch.randn(1, 4)]),
    ]
    for program in programs:
        for trace in (b"site-packages", b"/root", b"/home", b"/tmp", b".py", str(Path.cwd()).encode()):
            assert trace not in program.data


def test_an_operator_without_export_is_named_in_one_line() -> None:
    class Polar(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvalsh(x @ x.transpose(-1, -2))

    with pytest.raises(BadInput, match=r"uses the operator aten\.\w+, which has no export to ONNX") as caught:
        onnxruntime.export(export_with_holes(Polar(), inputs_of(torch.randn(1, 3, 3)), ()), ())
    assert len(str(caught.value).splitlines()) == 2


def test_a_forward_that_branches_on_values_is_refused_in_two_lines(capfd: pytest.CaptureFixture[str]) -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x if x.sum() > 0 else -x)

    with pytest.raises(BadInput, match="cannot trace its forward") as refused:
        export_with_holes(Branches(), inputs_of(torch.randn(1, 4)), ())
    assert str(refused.value).count("\n") == 1
    assert "def forward" not in capfd.readouterr().err


def test_the_oldest_runtime_that_a_board_may_have_loads_what_is_exported() -> None:
    """ONNX Runtime 1.19 reads IR version 10 and opset 21; `toolkit.devices.wheels` pins nothing older."""
    layers = [nn.Conv2d(3, 8, 3), nn.Linear(16, 8), CompactLinear(16, 8, 4).fold()]
    inputs = [torch.randn(1, 3, 8, 8), torch.randn(1, 16), torch.randn(1, 16)]
    for program in onnxruntime.export_layers(layers, inputs):
        model = onnx.load_from_string(program.data)
        assert model.ir_version <= 10
        assert [each.version <= 21 for each in model.opset_import if each.domain == ""] == [True]
