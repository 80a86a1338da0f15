"""A gradient is made of what XNNPACK takes: no convolution by a trained weight, no comparison for an activation."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from toolkit.adaptation.learning_graphs import trace_gradient
from toolkit.inputs import inputs_of
from toolkit.objectives import CLASSIFICATION

_aten = torch.ops.aten


class _Trained(nn.Module):
    """1 x 1 convolutions that are trained, around one of three by three and between activations."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.first, self.between, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3), nn.Conv2d(6, 4, 1, bias=False)
        self.activation, self.head = activation, nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.activation(self.last(self.activation(self.between(self.activation(self.first(x))))))
        outputs: torch.Tensor = self.head(y.mean((2, 3)))
        return outputs


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.3, 0.2)], ids=lambda each: str(each))
def test_it_is_the_same_gradient_by_products_alone(activation: nn.Module) -> None:
    torch.manual_seed(0)
    model, x, y = _Trained(activation), torch.randn(6, 3, 7, 5), torch.arange(6) % 3
    x[0] = 0  # a ReLU's edge
    names = ("first.weight", "last.weight", "head.weight")
    graph = trace_gradient(model, names, inputs_of(x), y, CLASSIFICATION)
    values = [model.get_parameter(name).detach() for name in names]
    found = graph.module()(x, y, torch.ones(6), *values)[2:]
    trained = [each.clone().requires_grad_() for each in values]
    loss = nn.functional.cross_entropy(functional_call(model, dict(zip(names, trained, strict=True)), (x,)), y)
    loss.backward()
    for got, wanted in zip(found, trained, strict=True):
        assert wanted.grad is not None
        torch.testing.assert_close(got / 6, wanted.grad, rtol=1e-5, atol=1e-7)
    called = [node for node in graph.graph.nodes if node.op == "call_function"]
    by_inputs = [node for node in called if node.target is _aten.convolution.default and _is_given(graph, node.args[1])]
    assert not by_inputs
    assert {_aten.le.Scalar, _aten.ge.Scalar, _aten.where.self}.isdisjoint(node.target for node in called)


def _is_given(graph: torch.export.ExportedProgram, node: object) -> bool:
    return isinstance(node, torch.fx.Node) and node.name in graph.graph_signature.user_inputs


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 6, 1, stride=2), nn.Conv2d(6, 6, 1, groups=3)], ids=str)
def test_one_that_is_no_plain_product_stays_a_convolution(layer: nn.Conv2d) -> None:
    """Its own weight's gradient may not exist: it is another's that is asked for."""
    torch.manual_seed(0)
    model = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(3))
    x = torch.randn(6, layer.in_channels, 4, 4)
    with torch.no_grad():
        model(x)
    graph = trace_gradient(model, ("2.weight",), inputs_of(x), torch.arange(6) % 3, CLASSIFICATION)
    assert any(node.target is _aten.convolution.default for node in graph.graph.nodes)
