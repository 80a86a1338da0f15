"""Labelled examples for a network that is out already: read as its task's files were, by the names of its classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from toolkit.errors import BadInput, first_line
from toolkit.inputs import Inputs, Port
from toolkit.preprocessing import Preprocessing
from toolkit.tasks.again import inputs_from
from toolkit.tasks.files import SUFFIXES
from toolkit.tasks.folder import require_one_kind
from toolkit.tasks.table import LABEL, TABLES, Row, read_rows
from toolkit.tasks.task import Examples

_SAVE = "Save x and y."


def labelled_from(
    source: Path, made: Preprocessing | None, ports: Sequence[Port], target: Port, classes: Sequence[str], room: int = 0
) -> Examples:
    """A folder `class/*`, a `.csv` or `.jsonl` with a label, or a `.npz` with the network's inputs (or x) and y.

    Labels are names of `classes`; without classes y is what the network learns from. There is `room` for so many more.
    Raises BadInput.
    """
    if source.is_dir():
        x, labels = _from_folder(source, made, ports)
    elif source.suffix.lower() in TABLES and source.is_file():
        x = inputs_from(source, made, ports)
        labels = [(f"line {row.line}", _label(source, row)) for row in read_rows(source)]
    elif source.suffix == ".npz" and source.is_file():
        x, y = inputs_from(source, made, ports), _y(source)
        if not classes:
            return _with_targets(source, x, y, target)
        if y.size != len(y):
            raise BadInput(
                f"y is {y.dtype} {y.shape}, one label an example is expected",
                where=str(source),
                next="If a row marks its class among zeros, save y.argmax(1).",
            )
        labels = [(f"row {row}", str(label)) for row, label in enumerate(y.reshape(-1).tolist())]
    else:
        raise BadInput(
            "is no folder class/*, .csv, .jsonl or .npz" if source.exists() else "there is no such file or folder",
            where=str(source),
            next="Give examples with their labels.",
        )
    if not classes:
        raise BadInput("the network has no classes", where=str(source), next=f"Give a .npz with y: {_said(target)}.")
    known = {name: index for index, name in enumerate(classes)}
    if unknown := [(place, name) for place, name in labels if name not in known]:
        place, name = unknown[0]
        raise BadInput(
            f"{place}: {name} is none of the release's classes: {', '.join(classes[:8])}{', ...' * (len(classes) > 8)}",
            where=str(source),
            next=f"--add-class {name} takes it as a new one; there is room for {room} more."
            if room
            else f"Deploy again with a --task that has {name}, or --set adaptation.spare_classes=N for N new ones.",
        )
    if len(labels) != len(x):
        raise BadInput(f"has {len(x)} examples and {len(labels)} labels", where=str(source), next="Give one for each.")
    if absent := [name for name in classes if name not in {name for _, name in labels}]:
        raise BadInput(
            f"has no example of {', '.join(absent[:8])}{', ...' * (len(absent) > 8)}",
            where=str(source),
            next="Give examples of every class: the board learns anew from these alone. --remove-class takes one away.",
        )
    return Examples(x, torch.tensor([known[name] for _, name in labels]))


def _from_folder(
    source: Path, made: Preprocessing | None, ports: Sequence[Port]
) -> tuple[Inputs, list[tuple[str, str]]]:
    files, parts, labels = [], [], []
    for folder in sorted(each for each in source.iterdir() if each.is_dir() and not each.name.startswith(".")):
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
                files.append(file)
                part = inputs_from(file, made, ports)
                parts.append(part)
                labels += [(str(file.relative_to(source)), folder.name)] * len(part)
    require_one_kind(files)
    if not parts:
        raise BadInput(f"has no class/*{'|'.join(SUFFIXES)}", where=str(source), next="Make one sub-folder a class.")
    tensors = {port.name: torch.cat([part.tensors[port.name] for part in parts]) for port in ports}
    return Inputs(tensors), labels


def _label(source: Path, row: Row) -> str:
    found = next((row.cells[name] for name in LABEL if name in row.cells), None)
    if not isinstance(found, str | int) or not str(found).strip():
        raise BadInput(f"line {row.line} has no label", where=str(source), next="Name the column of classes label.")
    return str(found).strip()


def _y(source: Path) -> np.ndarray:
    file = np.load(source, allow_pickle=False)  # its inputs were read by now
    names = [] if isinstance(file, np.ndarray) else file.files
    if "y" not in names:
        raise BadInput(
            f"has no array y (it has {', '.join(names) or 'x alone'})", where=str(source), next="Save x and y."
        )
    try:
        with file:
            return np.atleast_1d(file["y"])
    except Exception as error:  # NumPy raises what it likes
        raise BadInput(f"y cannot be read: {first_line(error)}", where=str(source), next=_SAVE) from None


def _with_targets(source: Path, x: Inputs, y: np.ndarray, target: Port) -> Examples:
    right = np.dtype(target.dtype)
    values = y[:, None] if target.shape == (1,) and y.ndim == 1 else y
    kinds = "biuf" if right.kind == "f" else "biu"
    if values.shape != (len(x), *target.shape) or values.dtype.kind not in kinds or not np.isfinite(values).all():
        raise BadInput(f"y is {y.dtype} {y.shape}", where=str(source), next=f"Give y: {_said(target)}, one an example.")
    return Examples(x, torch.from_numpy(values.astype(right)))


def _said(port: Port) -> str:
    return f"{port.dtype} ({', '.join(map(str, port.shape))})"
