"""Holes of a `.pte`: constants that the native runner supplies when it loads the program, found by placeholders.

XNNPACK packs a weight that is an input anew at each call, which costs more than it saves. As an external constant it
is packed once. The program asks for it by the SHA-256 of the bytes that it was exported with: each hole is exported
with a placeholder that the runner (`edge_runtime/native/holes.cpp`) can make too. The first value of hole i has the
bits `_FIRST + i`, all others are zero. Holes that no delegate takes are asked for by the name `hole_i`.

An int8 hole is two constants: its values, of which the first is `-128 + i` and all others are -128, which no weight
is; and a scale for each output channel, whose placeholder is one of fp32 with ones for zeros, as a scale of zero is
refused. The runner chooses the scales for the values that it is given, so that none are fixed here.
"""

import hashlib
import re
import struct
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node

TAG = "holes"
# Of a `.ptd` (extension/flat_tensor/serialize/flat_tensor_header.h): magic, then length of the head, offset and size of
# the names, and where values begin.
_HEAD, _HEAD_AT, _MAGIC = struct.Struct("<4s4x8x8xQ"), 8, b"FH01"
_FIRST = 0x0ED6E000
_LEAST_INT8 = -128
_MOST_INT8_HOLES = 256


class _WithConstants(nn.Module):
    """A traced function with its last arguments as parameters `hole_0`, `hole_1`, ...: forward(*others)."""

    def __init__(self, function: nn.Module, values: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.count = len(values)
        for index, value in enumerate(values):
            self.register_parameter(hole_name(index), nn.Parameter(value, requires_grad=False))

    def forward(self, *arguments: torch.Tensor) -> object:
        return self.function(*arguments, *(getattr(self, hole_name(index)) for index in range(self.count)))


def with_constants(graph: ExportedProgram, values: Sequence[torch.Tensor]) -> ExportedProgram:
    """The graph with those values as constants in the place of its last inputs."""
    given = _inputs(graph)
    others = tuple(torch.zeros(each.shape, dtype=each.dtype) for each in given[: len(given) - len(values)])
    with torch.no_grad():
        return torch.export.export(_WithConstants(graph.module(), values), others)


def hole_name(index: int) -> str:
    """What the constant in the place of a hole is called."""
    return f"hole_{index}"


def hole_of(node: object) -> int | None:
    """Which hole a node of a module with constants reads; None for all else."""
    found = re.fullmatch(r"hole_(\d+)", str(node.target)) if isinstance(node, Node) and node.op == "get_attr" else None
    return int(found[1]) if found else None


def placeholder(index: int, shape: Sequence[int], others: float = 0.0) -> torch.Tensor:
    """What stands for a hole in fp32."""
    value = torch.full(tuple(shape), others)
    value.view(-1)[0] = float(np.uint32(_FIRST + index).view(np.float32))
    return value


def placeholders(graph: ExportedProgram, count: int) -> list[torch.Tensor]:
    """What stands for the last `count` inputs, which are holes."""
    given = _inputs(graph)
    return [placeholder(index, each.shape) for index, each in enumerate(given[len(given) - count :])]


def int8_placeholders(index: int, shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """What stands for a hole in int8: its values, and the scales of its output channels."""
    values = torch.full(tuple(shape), _LEAST_INT8, dtype=torch.int8)
    values.view(-1)[0] = _LEAST_INT8 + index
    return values, placeholder(index, shape[:1], others=1.0)


def may_be_int8(index: int, value: torch.Tensor) -> bool:
    """Whether no weight can be mistaken for the int8 placeholder of that hole."""
    return index < _MOST_INT8_HOLES and value.numel() > 1


def leave_outside(graph: ExportedProgram) -> None:
    """Mark the constants in the place of holes, so that a delegate leaves them outside the program."""
    signature = graph.graph_signature
    constants = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    for node in graph.graph.nodes:
        if node.op == "placeholder" and constants.get(node.name, "").startswith("hole_"):
            # An int8 weight is known to the delegate as its conversion to fp32.
            for each in (node, *(user for user in node.users if "dequantize" in str(user.target))):
                each.meta.setdefault("custom", {})["delegate_constant_tag"] = TAG


def external_tag(node: Node) -> str | None:
    """Whether a constant that no delegate took is a hole: parameter `hole_0` is the node `p_hole_0`."""
    return TAG if node.name.startswith("p_hole_") else None


def require_outside(stand_ins: Mapping[int, Sequence[torch.Tensor]], outside: bytes) -> None:
    """Raises RuntimeError if the placeholder of a hole was built into the program: the hole could not be filled."""
    for index, own in stand_ins.items():
        for value in own:
            delegated = hashlib.sha256(value.numpy().tobytes()).hexdigest().encode()
            if delegated not in outside and f"{hole_name(index)}\0".encode() not in outside:
                raise RuntimeError(f"hole {index} of shape {tuple(value.shape)} was built into the program")


def layout(outside: bytes) -> bytes:
    """A `.ptd` without its values, which are placeholders: its head says where they begin."""
    magic, values_begin = _HEAD.unpack_from(outside, _HEAD_AT)
    if magic != _MAGIC:
        raise ValueError("ExecuTorch writes constants in another form than this version knows")
    return outside[:values_begin]


def _inputs(graph: ExportedProgram) -> list[torch.Tensor]:
    values = {node.name: node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"}
    return [values[name] for name in graph.graph_signature.user_inputs if isinstance(name, str)]
