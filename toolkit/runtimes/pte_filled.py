"""A `.pte` with its holes filled for good, as stock ExecuTorch loads it: what `holes.cpp` supplies is put in.

What XNNPACK asks for by a placeholder's digest becomes a named constant of the file; what other kernels ask for by the
hole's name becomes one of its constants.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from toolkit.runtimes.pte_holes import hole_name, int8_placeholders, placeholder

_ALIGNMENT = 16


def filled(program: bytes, holes: Sequence[str], values: Mapping[str, np.ndarray]) -> bytes:
    """`values` by hole, or by `HOLE.quantised` and `HOLE.scale`. Raises ValueError where the program has no such hole.

    Needs the version of ExecuTorch that made the program, or a later one that still reads it.
    """
    from executorch.exir._serialize._named_data_store import NamedDataStoreOutput
    from executorch.exir._serialize._program import deserialize_pte_binary, serialize_pte_binary
    from executorch.exir._serialize.data_serializer import DataEntry

    file = deserialize_pte_binary(program)
    named = file.named_data or NamedDataStoreOutput([], {}, {})
    constants = {}
    for index, hole in enumerate(holes):
        asked = {key: value for key, value in _by_key(index, hole, values).items() if key.encode() in program}
        for key, value in asked.items():
            named.pte_data[key] = DataEntry(len(named.buffers), _ALIGNMENT, None)
            named.buffers.append(value.tobytes())
        if f"{hole_name(index)}\0".encode() in program:
            constants[hole_name(index)] = np.ascontiguousarray(values[hole])
        elif not asked:
            raise ValueError(f"the program has no hole {hole}")
    file.named_data = named
    _put_in(file.program, constants)
    return bytes(serialize_pte_binary(file, extract_delegate_segments=True))


def _by_key(index: int, hole: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What XNNPACK is given, by what it asks for."""
    if hole in values:
        return {_digest(placeholder(index, values[hole].shape)): _delegated(values[hole])}
    steps, scale = values[f"{hole}.quantised"], values[f"{hole}.scale"]
    for_steps, for_scale = int8_placeholders(index, steps.shape)
    return {_digest(for_steps): _delegated(steps), f"scale_{_digest(for_scale)}": np.ascontiguousarray(scale)}


def _digest(value: torch.Tensor) -> str:
    return hashlib.sha256(value.numpy().tobytes()).hexdigest()


def _delegated(value: np.ndarray) -> np.ndarray:
    """XNNPACK keeps the input channels of a kernel last; of one with a single input channel, the output channels."""
    if value.ndim != 4:
        return np.ascontiguousarray(value)
    return np.ascontiguousarray(value[:, 0].transpose(1, 2, 0) if value.shape[1] == 1 else value.transpose(0, 2, 3, 1))


def _put_in(program: object, constants: Mapping[str, np.ndarray]) -> None:
    from executorch.exir.schema import Buffer, Program, Tensor, TensorDataLocation

    assert isinstance(program, Program)
    buffers = program.constant_buffer
    for each in [value.val for plan in program.execution_plan for value in plan.values]:
        said = each.extra_tensor_info if isinstance(each, Tensor) else None
        if said is None or said.location != TensorDataLocation.EXTERNAL or said.fully_qualified_name not in constants:
            continue
        if not buffers:
            buffers.append(Buffer(storage=b""))  # the first is nobody's
        each.data_buffer_idx, each.extra_tensor_info = len(buffers), None
        buffers.append(Buffer(storage=constants[said.fully_qualified_name].tobytes()))
