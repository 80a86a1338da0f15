"""Layers that share a core have one hole and one trainable in the graphs that a board runs; it reaches all of them."""

import torch
from learning import whole_of
from torch import nn

from toolkit.adaptation.learning_graphs import trace_gradient
from toolkit.choice import rank
from toolkit.compression import CURVES, CalibrationSet, Labelled, compact_layers, compress, compressible_layers
from toolkit.inputs import inputs_of
from toolkit.objectives import Classification
from toolkit.runtimes.bundle import inference_graph, trainable_names
from toolkit.tasks import Examples


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.second(torch.tanh(self.first(x))))


def test_one_hole_and_one_trainable_reach_every_layer() -> None:
    torch.manual_seed(0)
    backbone, head, x = _Tied().eval(), nn.Linear(8, 3), torch.randn(6, 8)
    data = CalibrationSet(Labelled(Examples(x, torch.arange(6) % 3), head))
    spectra = CURVES["jactus"](backbone, compressible_layers(backbone, inputs_of(x[:1])), data, 0)
    compact = compress(backbone, spectra, {"first": rank(3)})
    names = trainable_names(compact, head)
    assert names == ("backbone.first.core.weight", "head.weight", "head.bias")

    graph, holes = inference_graph(compact, head, inputs_of(x[:1]))
    assert holes == ("backbone.first.down.weight", "head.weight", "head.bias")
    layer = compact_layers(compact)["first"]
    with torch.no_grad():
        layer.core.weight *= 2
        filled = (layer.fold().down.weight, head.weight, head.bias)
        logits, features = graph.module()(x[:1], *filled)
        torch.testing.assert_close(features, compact(x[:1]))
        torch.testing.assert_close(logits, head(compact(x[:1])))

    network, y = whole_of(compact, head), torch.arange(6) % 3
    gradient = trace_gradient(network, names, inputs_of(x), y, Classification()).module()
    values = [network.get_parameter(name).detach().clone() for name in names]
    found = gradient(x, y, torch.ones(6), *values)[2]
    # That of both layers together.
    loss = nn.functional.cross_entropy(network(x), y, reduction="sum")
    torch.testing.assert_close(found, torch.autograd.grad(loss, layer.core.weight)[0])
