"""`deploy pull` brings back what a board has learned."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.console import stdout
from toolkit.cli.options import AsJson, HostAddress, TargetName
from toolkit.devices import visit_deployed
from toolkit.learned_state import pull as pull_learned
from toolkit.targets import load_target
from toolkit.units import format_bytes

EPILOG = (
    "Examples: [bold]deploy pull --target host --to learned.safetensors[/bold], "
    "[bold]deploy adapt --target host --learned learned.safetensors[/bold]"
)


def pull(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Its name ends with .safetensors.")],
    target: TargetName = "host",
    host: HostAddress = None,
    release: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Another than is served; its first characters do.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring back what the board has learned: to keep it, or to give it to a board that serves the same release."""
    board = load_target(target, host)
    with visit_deployed(board) as home:
        found = pull_learned(home, to, release=release)
    if as_json:
        typer.echo(json.dumps({"target": board.name, "file": str(to), **asdict(found)}))
        return
    stdout().print(
        f"{to}: {found.values:,} values that {board.name} has learned on top of release {found.release[:12]}, "
        f"{format_bytes(found.bytes)}",
        markup=False,
    )
