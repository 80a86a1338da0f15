"""ExecuTorch with XNNPACK: export to `.pte`; holes stay inputs, after the others."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from importlib import metadata

import torch
from torch import nn
from torch.export import ExportedProgram

from toolkit.errors import BadInput
from toolkit.runtimes.program import Nodes, Program, export_with_holes, layer_holes

name = "executorch"
suffix = ".pte"
agent = "native"
board_packages: tuple[str, ...] = ()


def export(graph: ExportedProgram, holes: tuple[str, ...]) -> Program:
    """One `.pte`; see `toolkit.runtimes.program.Runtime`."""
    check()
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with _quiet():
        lowered = to_edge_transform_and_lower(graph, partitioner=[XnnpackPartitioner()])
        nodes = _count(lowered.exported_program())
        buffer = lowered.to_executorch().buffer
    return Program(bytes(buffer), nodes, holes)


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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
