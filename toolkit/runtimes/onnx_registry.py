"""Torch's conversions to ONNX, read once a process: at every export it reads the sources of all five hundred anew.

That is 0.4 s of the 1.2 that a small network takes, and a first deployment exports some twenty. The registry is not
public; nothing writes to it, and the version of torch is bounded.
"""

import functools


@functools.cache
def read_conversions_once() -> None:
    """Let all exports of this process share one registry for each opset."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry  # takes a second: only where one exports

    read = functools.cache(ONNXRegistry.from_torchlib)
    ONNXRegistry.from_torchlib = staticmethod(read)  # type: ignore[method-assign]
