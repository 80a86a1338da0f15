"""Load a program in the runtime it was exported for, as one function from arrays to arrays.

A program may have holes: tensors that the board can replace (folded cores, the head). ONNX Runtime takes them as
external initializers, constant and packed like any other weight. ExecuTorch has an agent of its own (`runner/`).
"""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .saturation import cpuinfo, saturates

# It rounds the weights of layers between int8 ones, per tensor, also where those shall stay in fp32.
_NOT_WANTED = ["WeightBiasQuantization"]

# Else it starts a thread and writes a device's id and a database into its user's home, once it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

Program = Callable[[Sequence[np.ndarray]], "list[np.ndarray]"]


def bring_in(runtime: str) -> str:
    """Import it, which takes longer than all else; its version."""
    if runtime == "onnxruntime":
        import onnxruntime

        return str(onnxruntime.__version__)
    raise ValueError("unknown runtime: " + runtime)


def load(runtime: str, path: str, holes: Mapping[str, np.ndarray], threads: int) -> Program:
    """The program at `path` with its holes filled. Raises what the runtime raises when it cannot be loaded."""
    if runtime == "onnxruntime":
        return _load_onnxruntime(path, holes, threads)
    raise ValueError("unknown runtime: " + runtime)


def _load_onnxruntime(path: str, holes: Mapping[str, np.ndarray], threads: int) -> Program:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if saturates(cpuinfo()):
        # Other kernels, slower and exact; a processor with VNNI is fast and exact without them.
        options.add_session_config_entry("session.x64quantprecision", "1")
    values = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value)) for value in holes.values()]
    if values:
        options.add_external_initializers(list(holes), values)
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"], disabled_optimizers=_NOT_WANTED)
    names = [each.name for each in session.get_inputs()]

    def run(inputs: Sequence[np.ndarray]) -> "list[np.ndarray]":
        # 0-d results come back as NumPy scalars, which the runtime does not take as inputs.
        made = session.run(None, dict(zip(names, map(np.asarray, inputs))))
        return [out if type(out) is np.ndarray else np.asarray(out) for out in made]

    return run
