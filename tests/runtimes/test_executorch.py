"""What ExecuTorch computes is what torch computes, in inference and in training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import build, compacted, loaded, zeros
from torch import nn

pytest.importorskip("executorch", reason="ExecuTorch is not installed: pip install 'edge-deploy-toolkit[executorch]'")

from toolkit.adaptation import trace_train_step
from toolkit.models import split_head
from toolkit.runtimes import executorch, export_with_holes
from toolkit.runtimes.bundle import trainable_names


def test_holes_are_further_inputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).eval(), torch.randn(1, 6)
    holes = ("2.weight", "2.bias")
    program = executorch.export(export_with_holes(model, x, holes), holes)
    assert program.nodes.total == program.nodes.delegated + program.nodes.fallback
    assert program.nodes.delegated > 0
    for trace in (b"site-packages", b"/root", b"/home", str(Path.cwd()).encode()):
        assert trace not in program.data
    for _ in range(2):
        with torch.no_grad():
            model[2].weight.normal_()
            expected = model(x).numpy()
        values = {name: value.detach().numpy() for name, value in model.named_parameters()}
        np.testing.assert_allclose(loaded(executorch, program, tmp_path, values)([x.numpy()])[0], expected, atol=1e-5)


def test_each_layer_comes_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers, inputs = [nn.Linear(4, 3), nn.Conv2d(2, 3, 3)], [torch.randn(1, 4), torch.randn(1, 2, 5, 5)]
    for layer, x, program in zip(layers, inputs, executorch.export_layers(layers, inputs), strict=True):
        with torch.no_grad():
            expected = layer(x).numpy()
        np.testing.assert_allclose(loaded(executorch, program, tmp_path)([x.numpy()])[0], expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_twenty_steps_equal_adam(tmp_path: Path) -> None:
    # Tolerance: 20 torch Adam steps agreed to 6e-7 when the recipe was found.
    model, x = build("cnn")
    network = split_head(model, x[:1])
    assert network.head is not None
    whole = nn.Sequential()
    whole.add_module("backbone", compacted(network.backbone, network.head, x))
    whole.add_module("head", network.head)
    names = trainable_names(whole.get_submodule("backbone"))
    step = loaded(executorch, executorch.export(trace_train_step(whole, names, x, 3), ()), tmp_path)
    parameters = dict(whole.named_parameters())
    values = [parameters[name].detach().numpy().copy() for name in names]
    for parameter in whole.parameters():
        parameter.requires_grad_(False)
    trained = [parameters[name].requires_grad_(True) for name in names]
    optimizer, y = torch.optim.Adam(trained, lr=3e-3), torch.arange(6) % 3
    state, labels = zeros(values), np.eye(3, dtype=np.float32)[y.numpy()]
    for _ in range(20):
        out = step([x.numpy(), labels, np.float32(3e-3), np.float32(1e-8), *values, *state])
        values, state = out[2 : 2 + len(names)], out[2 + len(names) :]
        optimizer.zero_grad()
        nn.functional.cross_entropy(whole(x), y).backward()
        optimizer.step()
    for value, expected in zip(values, trained, strict=True):
        np.testing.assert_allclose(value, expected.detach().numpy(), atol=1e-5)
