"""ExecuTorch with XNNPACK: export to `.pte`; holes become constants that the native runner supplies at load."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.quiet import quiet
from toolkit.runtimes import pte_filled, pte_holes
from toolkit.runtimes.arithmetic import FP32, Arithmetic, Quantisation
from toolkit.runtimes.many_exports import prepare_for_many_exports
from toolkit.runtimes.program import Nodes, Program, export_with_holes, layer_holes
from toolkit.runtimes.pte_conversion import conversion
from toolkit.runtimes.pte_int8 import int8_graph
from toolkit.side_by_side import side_by_side

if TYPE_CHECKING:
    from executorch.exir import EdgeProgramManager

name = "executorch"
suffix = ".pte"
agent = "native"
arithmetics = (Arithmetic("int8", "signed"), Arithmetic("int8", "dynamic"))


def export(graph: ExportedProgram, holes: tuple[str, ...], quantisation: Quantisation | None = None) -> Program:
    """One `.pte`; see `toolkit.runtimes.program.Runtime`. Raises BadInput for arithmetic that XNNPACK has not."""
    check()
    if quantisation is not None:
        require_known(quantisation.arithmetic)
    if quantisation is not None and quantisation.arithmetic.precision == "int8":
        return _export_int8(graph, holes, quantisation, alone=False)
    with quiet():
        values = pte_holes.placeholders(graph, len(holes))
        lowered = _lower(pte_holes.with_constants(graph, values) if holes else graph)
        return _written(lowered, holes, {index: [value] for index, value in enumerate(values)})


def _export_int8(graph: ExportedProgram, holes: tuple[str, ...], quantisation: Quantisation, alone: bool) -> Program:
    """The program, after as many attempts as it takes to find the layers that no delegate takes in int8.

    The board has no other kernels for them.
    """
    impossible: frozenset[str] = frozenset()
    with quiet():
        while True:
            int8 = int8_graph(graph, holes, quantisation, impossible, alone)
            lowered = _lower(int8.graph)
            left = {int8.layers[weight] for weight in _int8_weights(lowered.exported_program())}
            if not left:
                program = _written(lowered, holes, int8.placeholders)
                return dataclasses.replace(
                    program,
                    fp32_layers=int8.fp32_layers,
                    fp32_operators=int8.fp32_operators,
                    quantised_holes=int8.quantised_holes,
                    input_type=int8.input_type,
                )
            impossible |= left


def _prepare() -> None:
    import executorch.backends.xnnpack.partition.xnnpack_partitioner
    import executorch.exir  # noqa: F401 - imported for what they keep

    prepare_for_many_exports()


def _lower(graph: ExportedProgram) -> "EdgeProgramManager":
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    prepare_for_many_exports()
    pte_holes.leave_outside(graph)
    return to_edge_transform_and_lower(graph, partitioner=[XnnpackPartitioner()])


def _written(
    lowered: "EdgeProgramManager", holes: tuple[str, ...], placeholders: Mapping[int, Sequence[torch.Tensor]]
) -> Program:
    from executorch.exir import ExecutorchBackendConfig

    nodes = _count(lowered.exported_program())
    program = lowered.to_executorch(ExecutorchBackendConfig(external_constants=pte_holes.external_tag))
    outside = bytes(program._tensor_data.get(pte_holes.TAG, b""))
    pte_holes.require_outside(placeholders, outside)
    return Program(bytes(program.buffer), nodes, holes, layout=pte_holes.layout(outside) if outside else None)


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
    check()
    all_of = list(zip(layers, inputs, arithmetics or [FP32] * len(layers), strict=True))
    with quiet():
        _prepare()  # what processes share is there before they are forked
    return side_by_side(lambda index: _export_layer(*all_of[index]), len(all_of))


def _export_layer(layer: nn.Module, x: torch.Tensor, arithmetic: Arithmetic) -> Program:
    """One layer as it stands between layers of its own arithmetic: neither end converts."""
    require_known(arithmetic)
    holes = layer_holes(layer)
    graph = export_with_holes(layer, inputs_of(x), holes)
    if arithmetic.precision == "int8":
        return _export_int8(graph, holes, Quantisation(arithmetic, inputs_of(x)), alone=True)
    return export(graph, holes)


def export_conversion(shape: Sequence[int], before: Arithmetic, after: Arithmetic) -> Program:
    """What stands between a layer in one arithmetic and its neighbour in another, on a tensor of this shape.

    Raises ValueError if nothing does: what stands between the layers is the same.
    """
    check()
    for each in (before, after):
        require_known(each)
    given, made = (each.activations == "signed" for each in (before, after))
    if given == made:
        raise ValueError(f"nothing is converted between {before} and {after}")
    with quiet():
        graph = conversion(shape, to_int8=made)
        program = _written(_lower(graph), (), {})
    return dataclasses.replace(program, input_type="int8" if given else "float32")


def fill(program: bytes, holes: Sequence[str], values: Mapping[str, np.ndarray], told: Mapping[str, str]) -> bytes:
    """A `.pte` tells nothing beside; see `toolkit.runtimes.program.Runtime`."""
    check()
    with quiet():
        return pte_filled.filled(program, holes, values)


def load(filled: bytes) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """By ExecuTorch's own Python runtime; see `toolkit.runtimes.program.Runtime`."""
    from executorch.runtime import Runtime as PythonRuntime

    with quiet():
        program = PythonRuntime.get().load_program(filled)
        method = program.load_method("forward")

    def run(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        assert program  # the method points into it
        # Copied: outputs lie in the method's memory, which the next call overwrites.
        given = [torch.from_numpy(np.asarray(each, order="C")) for each in inputs]  # a number stays one
        return [output.numpy().copy() for output in method.execute(given)]

    return run


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
