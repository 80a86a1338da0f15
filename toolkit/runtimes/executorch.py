"""ExecuTorch with XNNPACK: export to `.pte`; holes become constants that the native runner supplies at load."""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.export import ExportedProgram

from toolkit.errors import BadInput
from toolkit.quiet import quiet
from toolkit.runtimes import pte_holes
from toolkit.runtimes.arithmetic import FP32, Arithmetic, Quantisation
from toolkit.runtimes.program import Nodes, Program, export_with_holes, layer_holes
from toolkit.runtimes.pte_int8 import int8_graph

if TYPE_CHECKING:
    from executorch.exir import EdgeProgramManager

name = "executorch"
suffix = ".pte"
agent = "native"


def export(graph: ExportedProgram, holes: tuple[str, ...], quantisation: Quantisation | None = None) -> Program:
    """One `.pte`; see `toolkit.runtimes.program.Runtime`. Raises BadInput for arithmetic that XNNPACK has not."""
    check()
    if quantisation is not None:
        require_known(quantisation.arithmetic)
    if quantisation is not None and quantisation.arithmetic.precision == "int8":
        return _export_int8(graph, holes, quantisation)
    with quiet():
        values = pte_holes.placeholders(graph, len(holes))
        lowered = _lower(pte_holes.with_constants(graph, values) if holes else graph)
        return _written(lowered, holes, {index: [value] for index, value in enumerate(values)})


def _export_int8(graph: ExportedProgram, holes: tuple[str, ...], quantisation: Quantisation) -> Program:
    """The program, after as many attempts as it takes to find the layers that no delegate takes in int8.

    The board has no other kernels for them.
    """
    impossible: frozenset[str] = frozenset()
    with quiet():
        while True:
            int8 = int8_graph(graph, holes, quantisation, impossible)
            lowered = _lower(int8.graph)
            left = {int8.layers[weight] for weight in _int8_weights(lowered.exported_program())}
            if not left:
                program = _written(lowered, holes, int8.placeholders)
                return dataclasses.replace(program, fp32_layers=int8.fp32_layers, quantised_holes=int8.quantised_holes)
            impossible |= left


def _lower(graph: ExportedProgram) -> "EdgeProgramManager":
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    pte_holes.leave_outside(graph)
    return to_edge_transform_and_lower(graph, partitioner=[XnnpackPartitioner()])


def _written(
    lowered: "EdgeProgramManager", holes: tuple[str, ...], placeholders: Mapping[int, Sequence[torch.Tensor]]
) -> Program:
    from executorch.exir import ExecutorchBackendConfig

    nodes = _count(lowered.exported_program())
    program = lowered.to_executorch(ExecutorchBackendConfig(external_constants=pte_holes.external_tag))
    pte_holes.require_outside(placeholders, bytes(program._tensor_data.get(pte_holes.TAG, b"")))
    return Program(bytes(program.buffer), nodes, holes)


def _int8_weights(graph: ExportedProgram) -> set[str]:
    """Names of the int8 weights that no delegate took."""
    names = graph.graph_signature.inputs_to_buffers
    return {
        names[node.all_input_nodes[0].name]
        for node in graph.graph.nodes
        if node.op == "call_function" and "dequantize_per_channel" in str(node.target)
    }


def require_known(arithmetic: Arithmetic) -> None:
    """Raises BadInput for arithmetic that programs of this runtime have not."""
    if arithmetic.precision == "fp16":
        raise BadInput(
            "the ExecuTorch path has no fp16: XNNPACK does not turn a float32 program into it",
            where="precision fp16",
            next="Choose int8 or fp32.",
        )
    if arithmetic.activations == "unsigned":
        raise BadInput(
            "XNNPACK has no unsigned int8 activations",
            where=f"precision {arithmetic}",
            next="Choose int8 signed or int8 dynamic.",
        )


def export_layers(
    layers: Sequence[nn.Module], inputs: Sequence[torch.Tensor], arithmetics: Sequence[Arithmetic] | None = None
) -> list[Program]:
    """Each layer as a file of its own, in its arithmetic (fp32 unless given); see `Runtime`."""
    return [
        export(export_with_holes(layer, x, layer_holes(layer)), layer_holes(layer), Quantisation(arithmetic, x))
        for layer, x, arithmetic in zip(layers, inputs, arithmetics or [FP32] * len(layers), strict=True)
    ]


def check() -> None:
    """Raises BadInput with the command that installs ExecuTorch if it is missing."""
    try:
        metadata.version("executorch")
    except metadata.PackageNotFoundError:
        raise BadInput(
            "ExecuTorch is not installed",
            where="--runtime executorch",
            next="In the checkout: .venv/bin/pip install -c constraints.txt -e '.[executorch]'.",
        ) from None


def _count(graph: ExportedProgram) -> Nodes:
    """Nodes inside delegates, and those left to the portable kernels."""
    delegated = fallback = 0
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            lowered = getattr(graph.graph_module, str(node.target), None)
            original = getattr(lowered, "original_module", None)
            if original is not None:
                delegated += sum(inner.op == "call_function" for inner in original.graph.nodes)
        elif node.op == "call_function" and "delegate" not in str(node.target) and "getitem" not in str(node.target):
            fallback += 1
    return Nodes(delegated + fallback, delegated, fallback)
