"""`deploy infer` asks a board for a first look at what it serves."""

import io
import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from toolkit.cli.console import stderr, stdout
from toolkit.cli.options import AsJson, HostAddress, TargetName
from toolkit.devices import hold_deployed
from toolkit.errors import BadInput
from toolkit.first_look import Look, look
from toolkit.plain_program import write_whole
from toolkit.targets import load_target

EPILOG = "Example: [bold]deploy infer --target host --input digit.npy[/bold]"
_BEST, _SHOWN = 3, 20


def infer(
    file: Annotated[
        Path, typer.Option("--input", metavar="FILE", help="As the task's: image, .wav, .txt, .csv; .npy, .npz.")
    ],
    target: TargetName = "host",
    host: HostAddress = None,
    as_installed: Annotated[bool, typer.Option(help="Without what the board has learned.")] = False,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write the outputs there: .npy.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let the board answer for the examples in a file, with what it serves: a first look, not a loop."""
    if to is not None and to.suffix != ".npy":
        raise BadInput("outputs are written as .npy", where=f"--to {to}", next="Give a name that ends with .npy.")
    board = load_target(target, host)
    with hold_deployed(board) as home:
        found = look(home, board, file, as_installed=as_installed, on_note=_note)
    if to is not None:
        written = io.BytesIO()
        np.save(written, found.outputs)
        write_whole(to, written.getvalue())
    if as_json:
        said: dict[str, Any] = {"target": board.name, "release": found.release, "adapted": found.adapted}
        said["classes"] = list(found.classes) or None
        answers = [found.classes[best] for best in found.outputs.argmax(1)] if found.classes else None
        typer.echo(json.dumps({**said, "answers": answers, "outputs": found.outputs.tolist()}))
        return
    learned = "with what it has learned" if found.adapted else "as installed"
    title = f"{board.name}, release {found.release[:12]}, {learned}"
    stdout().print(_answers(found, title) if found.classes else f"{title}: outputs {found.outputs.shape}")


def _note(text: str) -> None:
    stderr().print(text, markup=False)


def _answers(found: Look, title: str) -> Table:
    table = Table(title=title)
    for column in ("example", "answer", "share", "then"):
        table.add_column(column)
    for row, shares in enumerate(found.shares[:_SHOWN], 1):
        best, *others = np.argsort(-shares)[:_BEST]
        then = ", ".join(f"{found.classes[index]} {shares[index]:.1%}" for index in others)
        table.add_row(str(row), escape(found.classes[best]), f"{shares[best]:.1%}", escape(then))
    if len(found.outputs) > _SHOWN:
        table.caption = f"{len(found.outputs) - _SHOWN} more: --json or --to tells all"
    return table
