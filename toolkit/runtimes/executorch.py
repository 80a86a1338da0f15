"""ExecuTorch with XNNPACK: export to `.pte`; holes become constants that the native runner supplies at load.

XNNPACK packs a weight that is an input anew at each call, which costs more than it saves. As an external constant it
is packed once. The program asks for it by the SHA-256 of the bytes that it was exported with: each hole is exported
with a placeholder that the runner (`devices/agent/runner/holes.cpp`) can make too. The first value of hole i has the
bits `_PLACEHOLDER + i`, all others are zero. Holes that no delegate takes are asked for by the name `hole_i`.
"""

import hashlib
from collections.abc import Sequence
from importlib import metadata

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from toolkit.errors import BadInput
from toolkit.quiet import quiet
from toolkit.runtimes.program import Nodes, Program, export_with_holes, layer_holes

name = "executorch"
suffix = ".pte"
agent = "native"

_PLACEHOLDER = 0x0ED6E000
_TAG = "holes"


def export(graph: ExportedProgram, holes: tuple[str, ...]) -> Program:
    """One `.pte`; see `toolkit.runtimes.program.Runtime`."""
    check()
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower

    with quiet():
        placeholders = _placeholders(graph, len(holes))
        closed = _with_constants(graph, placeholders) if holes else graph
        lowered = to_edge_transform_and_lower(closed, partitioner=[XnnpackPartitioner()])
        nodes = _count(lowered.exported_program())
        program = lowered.to_executorch(ExecutorchBackendConfig(external_constants=_external_tag))
    _require_outside(placeholders, bytes(program._tensor_data.get(_TAG, b"")))
    return Program(bytes(program.buffer), nodes, holes)


def export_layers(layers: Sequence[nn.Module], inputs: Sequence[torch.Tensor]) -> list[Program]:
    """Each layer as a file of its own."""
    return [
        export(export_with_holes(layer, x, layer_holes(layer)), layer_holes(layer))
        for layer, x in zip(layers, inputs, strict=True)
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


class _WithConstants(nn.Module):
    """A traced function with its last arguments as parameters `hole_0`, `hole_1`, ...: forward(*others)."""

    def __init__(self, function: nn.Module, placeholders: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.count = len(placeholders)
        for index, value in enumerate(placeholders):
            self.register_parameter(f"hole_{index}", nn.Parameter(value, requires_grad=False))

    def forward(self, *arguments: torch.Tensor) -> object:
        return self.function(*arguments, *(getattr(self, f"hole_{index}") for index in range(self.count)))


def _placeholders(graph: ExportedProgram, count: int) -> list[torch.Tensor]:
    """What stands for the last `count` inputs, which are holes."""
    shapes = _input_shapes(graph)
    return [_placeholder(index, shape) for index, shape in enumerate(shapes[len(shapes) - count :])]


def _with_constants(graph: ExportedProgram, placeholders: Sequence[torch.Tensor]) -> ExportedProgram:
    """The graph with its last inputs as constants that a delegate leaves outside the program."""
    shapes = _input_shapes(graph)
    others = tuple(torch.zeros(shape) for shape in shapes[: len(shapes) - len(placeholders)])
    with torch.no_grad():
        closed = torch.export.export(_WithConstants(graph.module(), placeholders), others)
    parameters = closed.graph_signature.inputs_to_parameters
    for node in closed.graph.nodes:
        if node.op == "placeholder" and parameters.get(node.name, "").startswith("hole_"):
            node.meta.setdefault("custom", {})["delegate_constant_tag"] = _TAG
    return closed


def _input_shapes(graph: ExportedProgram) -> list[torch.Size]:
    values = {node.name: node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"}
    return [values[name].shape for name in graph.graph_signature.user_inputs if isinstance(name, str)]


def _placeholder(index: int, shape: Sequence[int]) -> torch.Tensor:
    value = torch.zeros(shape)
    value.view(-1)[0] = float(np.uint32(_PLACEHOLDER + index).view(np.float32))
    return value


def _external_tag(node: torch.fx.Node) -> str | None:
    """Whether a constant that no delegate took is a hole: parameter `hole_0` is the node `p_hole_0`."""
    return _TAG if node.name.startswith("p_hole_") else None


def _require_outside(placeholders: Sequence[torch.Tensor], outside: bytes) -> None:
    """Raises RuntimeError if a hole was built into the program: its value could not be replaced."""
    for index, value in enumerate(placeholders):
        delegated = hashlib.sha256(value.numpy().tobytes()).hexdigest().encode()
        if delegated not in outside and f"hole_{index}\0".encode() not in outside:
            raise RuntimeError(f"hole {index} of shape {tuple(value.shape)} was built into the program")


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
