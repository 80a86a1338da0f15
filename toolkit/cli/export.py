"""`deploy export` writes what a board serves as a plain file."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.console import stdout
from toolkit.cli.options import AsJson, HostAddress, TargetName
from toolkit.devices import visit_deployed
from toolkit.plain_program import write_plain
from toolkit.targets import load_target
from toolkit.units import format_bytes

EPILOG = (
    "Example: [bold]deploy export --target host --to model.onnx[/bold], then "
    "[bold]python -c \"import onnxruntime; onnxruntime.InferenceSession('model.onnx')\"[/bold]"
)


def export(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help=".onnx or .pte, as the release is.")],
    target: TargetName = "host",
    host: HostAddress = None,
    release: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Another than is served; its first characters do.")
    ] = None,
    adapted: Annotated[bool, typer.Option("--adapted", help="With what the board has learned on top.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write what the board serves, as it was installed, as a plain file that stock ONNX Runtime or ExecuTorch loads."""
    board = load_target(target, host)
    with visit_deployed(board) as home:
        made = write_plain(home, to, release=release, adapted=adapted)
    if as_json:
        typer.echo(json.dumps({"target": board.name, "file": str(to), **asdict(made)}))
        return
    say = partial(stdout().print, markup=False)
    learned = ", with what it has learned" if made.adapted else ""
    say(f"{to}: release {made.release[:12]} of {board.name}{learned}, {format_bytes(made.bytes)}")
    for port in made.inputs:
        say(f"  takes {_said(port)}")
    say(f"  gives {' and '.join(_said(port) for port in made.outputs)}")


def _said(port: dict[str, Any]) -> str:
    return f"{port['name']} ({', '.join(map(str, [1, *port['shape']]))}) {port['dtype']}"
