"""A program whose holes are filled for good is for stock runtimes what the board's agents make of it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from native import served
from networks import Summed
from torch import nn

from edge_runtime.program import load
from edge_runtime.quantise import quantise
from toolkit.inputs import inputs_of
from toolkit.runtimes import Program, executorch, export_with_holes, onnxruntime
from toolkit.runtimes.arithmetic import Arithmetic, Quantisation


def layers(kind: str) -> tuple[nn.Sequential, torch.Tensor, tuple[str, ...]]:
    """A network whose holes are of that kind of layer and of the head, and examples."""
    torch.manual_seed(0)
    if kind == "linear":
        made = nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 3))
        return made.eval(), torch.randn(12, 6), ("0.weight", "2.weight", "2.bias")
    channels = 1 if kind == "one channel" else 3
    ends = nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)
    made = nn.Sequential(nn.Conv2d(channels, 5, (3, 2), bias=False), *ends)
    return made.eval(), torch.randn(12, channels, 7, 6), ("0.weight", "4.weight", "4.bias")


def fillings(program: Program, model: nn.Module) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Other weights than the program was exported with: by hole, and as those holes take them."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.25)
    values = {name: dict(model.named_parameters())[name].detach().numpy() for name in program.holes}
    taken: dict[str, np.ndarray] = {}
    for name, value in values.items():
        taken |= quantise(name, value) if name in program.quantised_holes else {name: value}
    return values, taken


@pytest.mark.parametrize("kind", ["linear", "convolution", "one channel"])
@pytest.mark.parametrize("form", ["fp32", "fp16", "int8 unsigned", "int8 signed", "int8 dynamic"])
def test_stock_onnx_runtime_computes_the_same(tmp_path: Path, kind: str, form: str) -> None:
    import onnxruntime as stock

    model, x, holes = layers(kind)
    program = onnxruntime.export(export_with_holes(model, inputs_of(x[:1]), holes), holes, quantisation(form, x))
    _, taken = fillings(program, model)
    data = onnxruntime.fill(program.data, holes, taken, {"classes": '["a", "b", "c"]'})
    (tmp_path / "with-holes.onnx").write_bytes(program.data)
    run = load("onnxruntime", str(tmp_path / "with-holes.onnx"), taken, 1)
    options = stock.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # as agents on processors that saturate
    session = stock.InferenceSession(
        data, options, providers=["CPUExecutionProvider"], disabled_optimizers=["WeightBiasQuantization"]
    )
    name = session.get_inputs()[0].name
    for row in range(len(x)):
        one = x[row : row + 1].numpy()
        np.testing.assert_allclose(session.run(None, {name: one})[0], run([one])[0], rtol=1e-5, atol=1e-6)
    assert session.get_modelmeta().custom_metadata_map == {"classes": '["a", "b", "c"]'}
    onnx.checker.check_model(onnx.load_from_string(data))


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("kind", ["linear", "convolution", "one channel"])
@pytest.mark.parametrize("form", ["fp32", "int8 signed", "int8 dynamic"])
def test_stock_executorch_computes_the_same(tmp_path: Path, kind: str, form: str) -> None:
    model, x, holes = layers(kind)
    if form == "int8 dynamic" and kind != "linear":
        pytest.skip("convolutions have no ranges that are found at each call")
    program = executorch.export(export_with_holes(model, inputs_of(x[:1]), holes), holes, quantisation(form, x))
    assert bool(program.quantised_holes) == (form != "fp32")
    values, taken = fillings(program, model)
    data = executorch.fill(program.data, holes, taken, {})
    np.testing.assert_allclose(stock_executorch(data, x), served(tmp_path, program, values, x.numpy()), rtol=1e-6)


@pytest.mark.usefixtures("compiler")
def test_a_hole_that_no_delegate_takes_is_a_constant_of_the_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Summed().eval(), torch.randn(3, 6)
    program = executorch.export(export_with_holes(model, inputs_of(x[:1]), ("weight",)), ("weight",))
    values, taken = fillings(program, model)
    data = executorch.fill(program.data, ("weight",), taken, {})
    np.testing.assert_allclose(stock_executorch(data, x), served(tmp_path, program, values, x.numpy()), rtol=1e-6)


@pytest.mark.usefixtures("compiler")
def test_what_fits_no_hole_is_refused() -> None:
    model, x, holes = layers("linear")
    graph = export_with_holes(model, inputs_of(x[:1]), holes)
    with pytest.raises(ValueError, match=r"nothing fills 0\.weight"):
        onnxruntime.fill(onnxruntime.export(graph, holes).data, holes, {}, {})
    other = {name: np.zeros((7, 7), np.float32) for name in holes}
    with pytest.raises(ValueError, match=r"no hole 0\.weight"):
        executorch.fill(executorch.export(graph, holes).data, holes, other, {})


def quantisation(form: str, x: torch.Tensor) -> Quantisation | None:
    precision, _, activations = form.partition(" ")
    if precision == "fp32":
        return None
    arithmetic = Arithmetic("fp16") if precision == "fp16" else Arithmetic("int8", activations)  # type: ignore[arg-type]
    return Quantisation(arithmetic, inputs_of(x), "minmax")


def stock_executorch(data: bytes, x: torch.Tensor) -> np.ndarray:
    """The first output for each example, in ExecuTorch's own Python runtime."""
    from executorch.runtime import Runtime

    loaded = Runtime.get().load_program(data)
    method = loaded.load_method("forward")
    return np.concatenate([method.execute([each[None].contiguous()])[0].numpy().copy() for each in x])
