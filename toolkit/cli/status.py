"""`deploy status`."""

import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from toolkit.cli.options import AsJson, TargetName
from toolkit.devices import connect, install_agent
from toolkit.devices.release import status as read_status
from toolkit.targets import load_target
from toolkit.units import format_bytes


def status(target: TargetName = "host", as_json: AsJson = False) -> None:
    """Show which release the board serves, the one before, and what else is there."""
    board = load_target(target)
    device = connect(board)
    try:
        found = read_status(install_agent(device, board))
    finally:
        device.close()
    if as_json:
        typer.echo(json.dumps({"target": board.name, **asdict(found)}))
        return
    table = Table(title=f"{board.name}: {format_bytes(found.disk_free_bytes)} free")
    table.add_column("release")
    table.add_column("state")
    for digest in found.available:
        adapted = ", adapted on the device" if found.adapted else ""
        state = f"active{adapted}" if digest == found.current else "previous" if digest == found.previous else "kept"
        table.add_row(digest[:12], state)
    if not found.available:
        table.add_row("none", f"deploy --target {board.name}")
    Console(highlight=False).print(table)
