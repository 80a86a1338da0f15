"""`deploy status` shows what a board serves, and changes nothing there."""

import json
from dataclasses import asdict

import typer
from rich.table import Table

from edge_runtime.profiles import DEFAULT
from toolkit.cli.console import stdout
from toolkit.cli.next_command import at_host
from toolkit.cli.options import AsJson, HostAddress, TargetName
from toolkit.devices import visit
from toolkit.devices.releases.health import BoardStatus, read_status
from toolkit.targets import load_target
from toolkit.units import format_bytes


def status(target: TargetName = "host", host: HostAddress = None, as_json: AsJson = False) -> None:
    """Show what the board serves, the release before, what else is there, and whether every byte of it is right."""
    board = load_target(target, host)
    with visit(board) as home:
        found = read_status(home) if home else None
    if as_json:
        told = {"healthy": found.healthy, **asdict(found)} if found else {}
        typer.echo(json.dumps({"target": board.name, "deployed_to": found is not None, **told}))
        return
    deploy = at_host(f"deploy --target {board.name}", host)
    if found is None:
        typer.echo(f"{board.name} has never been deployed to: `{deploy}`.")
        return
    table = Table(title=f"{board.name}: {format_bytes(found.disk_free_bytes)} free")
    for column in ("release", "state", "digests"):
        table.add_column(column)
    for digest in found.available:
        wrong = found.damaged.get(digest)
        table.add_row(digest[:12], _state(found, digest), "damaged: " + ", ".join(wrong) if wrong else "right")
    if not found.available:
        table.add_row("none", deploy, "")
    console = stdout()
    console.print(table)
    if found.damaged:
        console.print("A damaged release is never activated. To mend one, run again the deployment that made it.")
    if found.signatures_demanded:
        console.print("Only signed releases are activated (`--set release.sign=KEY`).")
    if found.held_by:
        dead = ", which is dead: the next deployer takes over" if found.held_by.is_dead else ""
        console.print(f"Held by {found.held_by}{dead}.")


def _state(found: BoardStatus, digest: str) -> str:
    if digest == found.current:
        adapted = ", adapted on the device" if found.adapted else ""
        return f"active{adapted}" + (f", profile {found.profile}" if found.profile != DEFAULT else "")
    return "previous" if digest == found.previous else "kept"
