"""A program: one graph exported for one runtime, and the capability of exporting."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from toolkit.errors import BadInput, first_line
from toolkit.inputs import Inputs
from toolkit.quiet import quiet
from toolkit.runtimes.arithmetic import Arithmetic, Quantisation


@dataclass(frozen=True)
class Nodes:
    """How many nodes the graph has, and how many run on the accelerated backend or fall back to reference kernels."""

    total: int
    delegated: int
    fallback: int


@dataclass(frozen=True)
class Program:
    """The file's bytes, its nodes, and the holes that the board fills, in order.

    `fp32_layers` were asked for in int8, and the runtime cannot run them so; nor the `fp32_operators`, which have no
    weights and are told by kind. The `quantised_holes` among its holes take int8 values and their steps
    (`edge_runtime.quantise`). `input_type` is a NumPy type: a layer that stands between int8 layers is timed alone on
    what it gets there. `layout` is what stands before the values of its holes in a file of them, where the runtime
    takes such a file and the program does not say that itself.
    """

    data: bytes
    nodes: Nodes
    holes: tuple[str, ...] = ()
    fp32_layers: tuple[str, ...] = ()
    fp32_operators: tuple[str, ...] = ()
    quantised_holes: tuple[str, ...] = ()
    input_type: str = "float32"
    layout: bytes | None = None


class Runtime(Protocol):
    """How to export for one runtime and what the board needs to run it."""

    @property
    def name(self) -> str: ...

    @property
    def suffix(self) -> str: ...

    @property
    def agent(self) -> str:
        """Which agent runs it on the board: `python` or `native`."""
        ...

    @property
    def arithmetics(self) -> tuple[Arithmetic, ...]:
        """What its programs compute in besides fp32, whether a board gains from it or not."""
        ...

    def check(self) -> None:
        """Raises BadInput with the command that installs the exporter if it is missing."""
        ...

    def export(
        self, graph: ExportedProgram, holes: tuple[str, ...], quantisation: Quantisation | None = None
    ) -> Program:
        """Export a graph whose last `len(holes)` inputs are holes, in fp32 unless `quantisation` says otherwise.

        Raises BadInput if the exporter is missing, for arithmetic that the runtime has not, and for examples that
        ranges cannot be read from.
        """
        ...

    def export_layers(
        self,
        layers: Sequence[nn.Module],
        inputs: Sequence[torch.Tensor],
        arithmetics: Sequence[Arithmetic] | None = None,
    ) -> list[Program]:
        """Export each layer alone on its example input, in fp32 or its arithmetic; holes are what `layer_holes` names.

        Its input is the example that ranges are read from, and the program says the type that it takes (`input_type`).
        """
        ...

    def export_conversion(self, shape: Sequence[int], before: Arithmetic, after: Arithmetic) -> Program:
        """What turns a tensor of this shape from one arithmetic into another, alone."""
        ...

    def fill(
        self, program: bytes, holes: Sequence[str], values: Mapping[str, np.ndarray], told: Mapping[str, str]
    ) -> bytes:
        """The program's file with its holes filled for good, for the runtime as everybody has it.

        `values` are what `edge_runtime.release.fill_holes` gives; `told` is kept where the format has a place for it.
        Raises BadInput if the exporter is missing, and ValueError if something fits no hole.
        """
        ...

    def load(self, filled: bytes) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
        """What `fill` made, on this machine, as a function of its inputs that computes as the board's agent does."""
        ...


class WithHoles(nn.Module):
    """`model` of so many inputs, with some parameters as further ones: forward(*inputs, *holes)."""

    def __init__(self, model: nn.Module, inputs: int, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.others = inputs - 1
        self.names = names

    def forward(self, x: torch.Tensor, *values: torch.Tensor) -> object:
        """The model's outputs with the named parameters replaced by the last of the `values`.

        What inputs are called here names them in the graph, and the graph names stored profiles of one input.
        """
        others, filled = values[: self.others], values[self.others :]
        return torch.func.functional_call(self.model, dict(zip(self.names, filled, strict=True)), (x, *others))


def export_with_holes(model: nn.Module, x: Inputs, names: tuple[str, ...]) -> ExportedProgram:
    """Trace `model` on `x` with those parameters as inputs after them.

    Raises BadInput if its forward cannot be traced: it decides on the values of tensors, or leaves torch.
    """
    parameters = dict(model.named_parameters())
    wrapped = WithHoles(model.eval(), len(x.tensors), names).requires_grad_(False)
    try:
        # Traced apart from autograd: an inference graph needs none. What cannot be traced is dumped on stderr, often.
        with torch.no_grad(), quiet():
            return torch.export.export(wrapped, (*x, *(parameters[name].detach().clone() for name in names)))
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        first = first_line(error)
        raise BadInput(
            f"torch.export cannot trace its forward: {first}",
            where="model",
            next="Its forward must be torch operations alone that do not branch on the values of tensors.",
        ) from error


def layer_holes(layer: nn.Module) -> tuple[str, ...]:
    """Parameters that the board may replace: the folded core of a compact layer, none of a dense one."""
    return ("down.weight",) if "down.weight" in dict(layer.named_parameters()) else ()
