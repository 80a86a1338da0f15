"""`deploy targets`."""

import json

import typer
from rich.table import Table

from toolkit.cli.console import stdout
from toolkit.cli.options import AsJson
from toolkit.targets import read_target, target_files


def targets(as_json: AsJson = False) -> None:
    """List the boards: shipped ones, and those of ./targets/."""
    found = [read_target(path) for path in target_files().values()]
    if as_json:
        typer.echo(json.dumps({"targets": [each.model_dump() for each in found]}, indent=2))
        return
    table = Table()
    for name in ("target", "what", "reached by", "runtimes", "verified"):
        table.add_column(name, no_wrap=name == "target")
    for each in found:
        at = f" {each.connection.user or ''}@{each.connection.host}" if each.connection.host else ""
        verified = "yes" if each.verified else "not on hardware"
        table.add_row(each.name, each.summary, each.connection.transport + at, ", ".join(each.runtimes), verified)
    stdout().print(table)
