"""A program that `torch.export.save` wrote, as a module: with layers, where its operators are those of layers."""

import os
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch._ops import OpOverload
from torch.export import ExportedProgram

from toolkit.errors import BadInput, first_line
from toolkit.origins.graph_layers import with_layers
from toolkit.quiet import quiet

_EXPORT = (
    "Export it anew: torch.export.save(torch.export.export(model.eval(), (two_examples,), "
    "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)), FILE)."
)
# Which argument says that the operator trains.
_SWITCHES: dict[Any, int] = {torch.ops.aten.dropout.default: 2, torch.ops.aten.batch_norm.default: 5}
_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def load_exported(file: Path) -> nn.Module:
    """The program of one input (N, ...) and one output, as a module without hooks that can be trained.

    Raises BadInput for a file that is none, holds objects, or was exported for one batch size or for training.
    """
    where = str(file)
    _require_tensors(file)
    try:
        with quiet(), _tensors_alone():
            program = torch.export.load(file)
    except Exception as error:  # the reader raises whatever a damaged or foreign file leads it to
        what = f"cannot be read by torch {torch.__version__}: {first_line(error)}"
        raise BadInput(what, where=where, next=_EXPORT) from None
    _require_plain(program, where)
    bare = program.module(check_guards=False)
    graph, copied = fx.Graph(), dict[fx.Node, fx.Node]()
    graph.graph_copy(bare.graph, copied)
    [output] = bare.graph.find_nodes(op="output")
    graph.output(copied[output.all_input_nodes[0]])  # the tensor itself, whatever it was packed in
    return with_layers(fx.GraphModule(bare, graph))  # the program's hooks, and its refusals to train, stay behind


def _require_tensors(file: Path) -> None:
    try:
        with zipfile.ZipFile(file) as opened:
            names = opened.namelist()
    except FileNotFoundError:
        raise BadInput("there is no such file", where=str(file), next="Name what torch.export.save wrote.") from None
    except (OSError, zipfile.BadZipFile):
        raise BadInput("is no exported program", where=str(file), next=_EXPORT) from None
    for part, state in _refused():
        if any(part in name for name in names):
            raise BadInput(state, where=str(file), next=_EXPORT)


def _refused() -> tuple[tuple[str, str], ...]:
    """What a program of one machine is made of, and what is a Python object; the rest are tensors and text."""
    # Torch's compiler comes with it, for seconds: a deployment that is refused for another reason waits for neither.
    from torch.export.pt2_archive import constants as archive

    return (
        (archive.AOTINDUCTOR_DIR, "was compiled for one kind of machine"),
        (archive.CONSTANTS_DIR + archive.CUSTOM_OBJ_FILENAME_PREFIX, "holds objects, and nothing is unpickled"),
        (archive.CONSTANTS_DIR + archive.OPAQUE_OBJ_FILENAME_PREFIX, "holds objects, and nothing is unpickled"),
    )


@contextmanager
def _tensors_alone() -> Iterator[None]:
    """`torch.export.load` would unpickle what is more than tensors; inside, that raises."""
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        os.environ.pop(_FORCE)
        os.environ.update({} if before is None else {_FORCE: before})


def _require_plain(program: ExportedProgram, where: str) -> None:
    signature = program.graph_signature
    inputs = [each for each in program.graph.nodes if each.op == "placeholder" and each.name in signature.user_inputs]
    if len(inputs) != 1 or len(signature.user_outputs) != 1:
        counts = f"{len(inputs)} inputs and {len(signature.user_outputs)} outputs"
        raise BadInput(f"has {counts}, expected one of each", where=where, next=_EXPORT)
    value = inputs[0].meta.get("val")
    if isinstance(value, torch.Tensor) and value.dim() and isinstance(value.shape[0], int):
        raise BadInput(f"was exported for batches of {value.shape[0]} alone", where=where, next=_EXPORT)
    buffers = set(signature.inputs_to_buffers)
    if signature.buffers_to_mutate or any(_trains(node, buffers) for node in program.graph.nodes):
        raise BadInput("was exported as it trains, or keeps a state", where=where, next=_EXPORT)


def _trains(node: fx.Node, buffers: Collection[str]) -> bool:
    """A dropout that drops, a norm of batches, or a write into a buffer."""
    if node.target in _SWITCHES:
        return bool(node.args[_SWITCHES[node.target]])
    is_written = isinstance(node.target, OpOverload) and node.target._schema.is_mutable
    return is_written and isinstance(node.args[0], fx.Node) and node.args[0].name in buffers
