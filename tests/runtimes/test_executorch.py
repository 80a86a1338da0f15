"""What ExecuTorch computes is what torch computes, in inference and in training."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from learning import learning_of, take_steps, whole_of
from native import served
from networks import Summed, build, compacted
from torch import nn

from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.runtimes import Program, executorch, export_with_holes

pytestmark = pytest.mark.usefixtures("compiler")


def _python_runtime(program: Program) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """A program without holes in ExecuTorch's own Python runtime."""
    from executorch.runtime import Runtime as PythonRuntime

    loaded = PythonRuntime.get().load_program(program.data)
    method = loaded.load_method("forward")

    def run(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        assert loaded  # the method points into it
        # Copied: outputs live in the method's memory plan, which the next call overwrites.
        return [np.array(out) for out in method.execute([torch.from_numpy(np.array(each)) for each in inputs])]

    return run


def _linear() -> tuple[nn.Module, torch.Tensor]:
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)), torch.randn(2, 6)


def _convolution(channels: int, kernel: tuple[int, int]) -> tuple[nn.Module, torch.Tensor]:
    layers = nn.Conv2d(channels, 5, kernel, 2, padding=1), nn.ReLU(), nn.Conv2d(5, 4, 1), nn.Flatten()
    return nn.Sequential(*layers), torch.randn(2, channels, 7, 6)


# One input channel is a case of its own: XNNPACK lays such a kernel out as a depthwise one.
@pytest.mark.parametrize(
    "made",
    [
        _linear,
        *(partial(_convolution, channels, kernel) for channels in (1, 2, 3, 16) for kernel in ((3, 2), (1, 1), (5, 5))),
    ],
)
def test_holes_are_constants_that_come_from_outside(
    tmp_path: Path, made: Callable[[], tuple[nn.Module, torch.Tensor]]
) -> None:
    torch.manual_seed(0)
    model, x = made()
    model.eval()
    holes = ("0.weight", "2.weight", "2.bias")
    programs = []
    for _ in range(2):
        with torch.no_grad():
            for name in holes:
                dict(model.named_parameters())[name].normal_()
            expected = model(x).numpy()
        programs.append(executorch.export(export_with_holes(model, inputs_of(x[:1]), holes), holes))
        values = {name: value.detach().numpy() for name, value in model.named_parameters() if name in holes}
        np.testing.assert_allclose(served(tmp_path, programs[0], values, x.numpy()), expected, atol=1e-5, rtol=1e-5)
    program = programs[0]
    assert program.data == programs[1].data  # nothing of the values is in it
    assert program.nodes.total == program.nodes.delegated + program.nodes.fallback
    assert program.nodes.delegated > 0
    for trace in (b"site-packages", b"/root", b"/home", str(Path.cwd()).encode()):
        assert trace not in program.data


def test_a_hole_that_no_delegate_takes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Summed(), torch.randn(2, 6)
    program = executorch.export(export_with_holes(model, inputs_of(x[:1]), ("weight",)), ("weight",))
    assert program.nodes.fallback > 0
    for _ in range(2):
        with torch.no_grad():
            model.weight.normal_()
            expected = model(x).numpy()
        values = {"weight": model.weight.detach().numpy()}
        np.testing.assert_allclose(served(tmp_path, program, values, x.numpy()), expected, atol=1e-5)


def test_each_layer_comes_alone() -> None:
    torch.manual_seed(0)
    layers, inputs = [nn.Linear(4, 3), nn.Conv2d(2, 3, 3)], [torch.randn(1, 4), torch.randn(1, 2, 5, 5)]
    for layer, x, program in zip(layers, inputs, executorch.export_layers(layers, inputs), strict=True):
        with torch.no_grad():
            expected = layer(x).numpy()
        np.testing.assert_allclose(_python_runtime(program)([x.numpy()])[0], expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_twenty_steps_equal_adam() -> None:
    # Tolerance: 20 torch Adam steps agreed to 6e-7 when the recipe was found.
    model, x = build("cnn")
    network = split_head(model, inputs_of(x[:1]))
    assert network.head is not None
    backbone = compacted(network.backbone, network.head, x)
    whole, learning = whole_of(backbone, network.head), learning_of(executorch, backbone, network.head, x)
    y = torch.arange(6) % 3
    values = [whole.get_parameter(name).detach().numpy().copy() for name in learning.trainables]
    for parameter in whole.parameters():
        parameter.requires_grad_(False)
    trained = [whole.get_parameter(name).requires_grad_(True) for name in learning.trainables]
    optimizer = torch.optim.Adam(trained, lr=3e-3)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(whole(x), y).backward()
        optimizer.step()
    runs = [_python_runtime(program) for program in (learning.gradient, learning.update)]
    _, values = take_steps(*runs, x.numpy(), y.numpy(), values, 20, 3e-3)
    for value, expected in zip(values, trained, strict=True):
        np.testing.assert_allclose(value, expected.detach().numpy(), atol=1e-5)
