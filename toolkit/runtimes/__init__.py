"""Runtimes: export a graph for one, and say what the board needs to run it."""

from toolkit.runtimes import executorch, onnxruntime
from toolkit.runtimes.program import Nodes, Program, Runtime, export_with_holes, layer_holes

RUNTIMES: dict[str, Runtime] = {"onnxruntime": onnxruntime, "executorch": executorch}

__all__ = ["RUNTIMES", "Nodes", "Program", "Runtime", "export_with_holes", "layer_holes"]
