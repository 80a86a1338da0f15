"""ONNX Runtime: export with torch's exporter; holes become external initializers that the board supplies at load."""

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import onnx
import torch
from torch import nn
from torch.export import ExportedProgram

from edge_runtime.program import load as load_program
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.quiet import quiet
from toolkit.runtimes.arithmetic import FP32, Arithmetic, Quantisation, number_type
from toolkit.runtimes.many_exports import prepare_for_many_exports
from toolkit.runtimes.onnx_conversions import conversion, cut_conversions
from toolkit.runtimes.onnx_filled import filled
from toolkit.runtimes.onnx_fp16 import to_fp16
from toolkit.runtimes.onnx_holes import name_holes, place_holes, supply_at_load
from toolkit.runtimes.onnx_int8 import to_int8
from toolkit.runtimes.onnx_registry import read_conversions_once
from toolkit.runtimes.program import Nodes, Program, layer_holes

name = "onnxruntime"
suffix = ".onnx"
agent = "python"
arithmetics = (
    Arithmetic("int8", "unsigned"),
    Arithmetic("int8", "signed"),
    Arithmetic("int8", "dynamic"),
    Arithmetic("fp16"),
)

# Torch's exporter takes seconds, and one graph comes in several arithmetics.
_EXPORTED: WeakKeyDictionary[ExportedProgram, onnx.ModelProto] = WeakKeyDictionary()


def check() -> None:
    """Part of the base install."""


def export(graph: ExportedProgram, holes: tuple[str, ...], quantisation: Quantisation | None = None) -> Program:
    """One ONNX file; see `toolkit.runtimes.program.Runtime`."""
    model = _to_onnx(graph)
    feeds = [each.name for each in model.graph.input]
    first = len(feeds) - len(holes)
    name_holes(model, dict(zip(feeds[first:], holes, strict=True)))
    if quantisation is None or quantisation.arithmetic.precision == "fp32":
        return _program(model, holes)
    if quantisation.arithmetic.precision == "fp16":
        kept = [*feeds[:first], *holes, *(each.name for each in model.graph.output)]
        return _program(to_fp16(model, "model", holes, quantisation.fp32_layers, kept), holes)
    arguments = graph.example_inputs[0] if graph.example_inputs else ()
    values = [value.detach().numpy() for value in arguments[first:]]
    made = to_int8(model, "model", dict(zip(holes, values, strict=True)), quantisation)
    return replace(
        _program(made.model, holes),
        fp32_layers=made.fp32_layers,
        fp32_operators=made.fp32_operators,
        quantised_holes=made.quantised_holes,
    )


def export_layers(
    layers: Sequence[nn.Module], inputs: Sequence[torch.Tensor], arithmetics: Sequence[Arithmetic] | None = None
) -> list[Program]:
    """Each layer as a file of its own, in its arithmetic (fp32 unless given); see `Runtime`.

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
        name_holes(piece, dict(zip(own, names, strict=True)))
        arithmetic = FP32 if arithmetics is None else arithmetics[index]
        filling = {each: values[index][each].detach().numpy() for each in names}
        programs.append(_alone(piece, f"layers.{index}", filling, inputs[index], arithmetic))
    return programs


def export_conversion(shape: Sequence[int], before: Arithmetic, after: Arithmetic) -> Program:
    """What stands between a layer in one arithmetic and its neighbour in another, on a tensor of this shape."""
    return _program(conversion(shape, before, after), (), number_type(before))


def fill(program: bytes, holes: Sequence[str], values: Mapping[str, np.ndarray], told: Mapping[str, str]) -> bytes:
    """See `toolkit.runtimes.program.Runtime`."""
    return filled(program, values, told)


def load(filled: bytes) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """By the agent's own loader; see `toolkit.runtimes.program.Runtime`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"filled{suffix}")
        path.write_bytes(filled)
        return load_program(name, str(path), {}, 1)


def _alone(
    model: onnx.ModelProto, root: str, holes: dict[str, np.ndarray], x: torch.Tensor, arithmetic: Arithmetic
) -> Program:
    """One layer as it stands between layers of its own arithmetic: neither end converts."""
    if arithmetic.precision == "fp16":
        return _program(to_fp16(model, root, tuple(holes), (), tuple(holes)), tuple(holes), "float16")
    if arithmetic.precision == "fp32":
        return _program(model, tuple(holes))
    made = to_int8(model, root, holes, Quantisation(arithmetic, inputs_of(x)))
    cut = cut_conversions(made.model)
    program = _program(made.model, tuple(holes), number_type(arithmetic) if cut else "float32")
    return replace(program, fp32_layers=made.fp32_layers, quantised_holes=made.quantised_holes)


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
    """A graph of the caller's own."""
    if graph not in _EXPORTED:
        _EXPORTED[graph] = _exported(graph)
    model = onnx.ModelProto()
    model.CopyFrom(_EXPORTED[graph])
    return model


def _exported(graph: ExportedProgram) -> onnx.ModelProto:
    try:
        with quiet():
            read_conversions_once()
            prepare_for_many_exports()
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


def _program(model: onnx.ModelProto, holes: tuple[str, ...], input_type: str = "float32") -> Program:
    """The file, with the inputs that are holes supplied at load and nothing that tells where it was made."""
    supply_at_load(model, holes)
    place_holes(model, holes)
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]  # shapes of what lies between nodes, which every reader finds by itself
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces of the machine that exported
        node.doc_string = ""
    count = len(model.graph.node)
    nodes = Nodes(total=count, delegated=count, fallback=0)
    return Program(model.SerializeToString(), nodes, holes, input_type=input_type)
