"""ONNX Runtime: export with torch's exporter; holes become external initializers that the board supplies at load."""

import re
from collections.abc import Sequence

import onnx
import torch
from torch import nn
from torch.export import ExportedProgram

from toolkit.errors import BadInput
from toolkit.quiet import quiet
from toolkit.runtimes.program import Nodes, Program, layer_holes

name = "onnxruntime"
suffix = ".onnx"
agent = "python"


def check() -> None:
    """Part of the base install."""


def export(graph: ExportedProgram, holes: tuple[str, ...]) -> Program:
    """One ONNX file; see `toolkit.runtimes.program.Runtime`."""
    model = _to_onnx(graph)
    feeds = [each.name for each in model.graph.input]
    return _program(model, dict(zip(feeds[len(feeds) - len(holes) :], holes, strict=True)))


def export_layers(layers: Sequence[nn.Module], inputs: Sequence[torch.Tensor]) -> list[Program]:
    """Each layer as a file of its own.

    All are exported at once and then cut apart: the exporter's set-up takes longer than a layer.
    """
    holes = [layer_holes(layer) for layer in layers]
    values = [dict(layer.named_parameters()) for layer in layers]
    filled = [values[index][each].detach() for index, names in enumerate(holes) for each in names]
    # Each input a tensor of its own: one that is given twice would be traced as one.
    with torch.no_grad(), quiet():
        graph = torch.export.export(_SideBySide(layers, holes), (tuple(x.clone() for x in inputs), tuple(filled)))
    whole = _to_onnx(graph)
    feeds = [each.name for each in whole.graph.input]
    results = [each.name for each in whole.graph.output]
    cutter = onnx.utils.Extractor(whole)
    programs, next_hole = [], len(layers)
    for index, names in enumerate(holes):
        own = feeds[next_hole : next_hole + len(names)]
        next_hole += len(names)
        piece = cutter.extract_model([feeds[index], *own], [results[index]])
        programs.append(_program(piece, dict(zip(own, names, strict=True))))
    return programs


class _SideBySide(nn.Module):
    """Independent layers in one graph: forward(inputs, holes) -> outputs."""

    def __init__(self, layers: Sequence[nn.Module], holes: Sequence[tuple[str, ...]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers).requires_grad_(False).eval()
        self.holes = holes

    def forward(self, inputs: tuple[torch.Tensor, ...], filled: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        rest = iter(filled)
        return tuple(
            torch.func.functional_call(layer, {name: next(rest) for name in names}, (x,))
            for layer, names, x in zip(self.layers, self.holes, inputs, strict=True)
        )


def _to_onnx(graph: ExportedProgram) -> onnx.ModelProto:
    try:
        with quiet():
            exported = torch.onnx.export(graph, dynamo=True, verbose=False)
    except torch.onnx.OnnxExporterError as error:
        missing = re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", f"{error} {error.__cause__}")
        if missing is None:
            raise
        raise BadInput(
            f"uses the operator {missing[1]}, which has no export to ONNX",
            where="model",
            next="Write the layer that uses it with other operators.",
        ) from None
    if exported is None:
        raise RuntimeError("the exporter returned nothing")
    return exported.model_proto


def _program(model: onnx.ModelProto, holes: dict[str, str]) -> Program:
    """Turn graph inputs (keys) into external initializers (values: their names), whose bytes the board supplies."""
    for node in model.graph.node:
        for position, feed in enumerate(node.input):
            if feed in holes:
                node.input[position] = holes[feed]
    for feed in [each for each in model.graph.input if each.name in holes]:
        shape = [dimension.dim_value for dimension in feed.type.tensor_type.shape.dim]
        tensor = onnx.TensorProto(
            name=holes[feed.name], data_type=onnx.TensorProto.FLOAT, dims=shape, data_location=onnx.TensorProto.EXTERNAL
        )
        tensor.external_data.add(key="location", value="supplied-at-load")
        model.graph.initializer.append(tensor)
        model.graph.input.remove(feed)
    del model.graph.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces of the machine that exported
        node.doc_string = ""
    count = len(model.graph.node)
    return Program(model.SerializeToString(), Nodes(total=count, delegated=count, fallback=0), tuple(holes.values()))
