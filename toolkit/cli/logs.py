"""`deploy logs` shows what happened on a board: deployments, refusals, what it learned, and who did it."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from toolkit.cli.console import stdout
from toolkit.cli.options import AsJson, HostAddress, TargetName
from toolkit.devices import visit_deployed
from toolkit.devices.journal import Entry, read_journal
from toolkit.targets import load_target

EPILOG = "Examples: [bold]deploy logs --target host[/bold], [bold]deploy logs --target host --last 100 --json[/bold]"


def logs(
    target: TargetName = "host",
    host: HostAddress = None,
    last: Annotated[int, typer.Option(min=1, max=500, help="So many entries, the newest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what happened on the board: what it took and refused, what it learned and undid, and who did it."""
    board = load_target(target, host)
    with visit_deployed(board) as home:
        found = read_journal(home, last)
    if as_json:
        typer.echo(json.dumps({"target": board.name, "entries": [asdict(each) for each in found]}))
    else:
        stdout().print(_table(board.name, found))


def _table(board: str, found: list[Entry]) -> Table:
    table = Table(title=board)
    for column in ("by the board's clock", "what", "release", "by", "more"):
        table.add_column(column, overflow="fold")
    for each in found:
        at = datetime.fromtimestamp(each.at_s).isoformat(" ")
        cells = at, each.event, (each.release or "")[:12], each.by, _said(each.details)
        table.add_row(*(Text(cell.encode(errors="replace").decode()) for cell in cells))
    if not found:
        table.caption = "Nothing has happened since this board keeps a journal."
    return table


def _said(details: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in details.items() if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
