"""What is active on this board, for an application.

    model = edge_runtime.load()
    logits = model(x)
    model.learn(x, y)

Needs NumPy and ONNX Runtime, and no torch. All of it is imported at once: where it is an archive that a later
deployment replaces, nothing is read from that afterwards.
"""

from . import beside
from .errors import EdgeRuntimeError
from .generations import Generation
from .model import Learned, Model, load

__all__ = ["EdgeRuntimeError", "Generation", "Learned", "Model", "beside", "load"]
