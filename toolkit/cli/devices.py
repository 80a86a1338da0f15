"""`deploy devices` lists the boards that can be seen from here."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Annotated

import typer

from toolkit.cli.console import stderr, stdout
from toolkit.cli.options import AsJson
from toolkit.devices.nearby import Sighting, adb_boards, serial_ports, ssh_servers
from toolkit.errors import BoardError

EPILOG = "Examples:  [bold]deploy devices[/bold]\n\n[bold]deploy devices --wait 1 --json[/bold]"
_WAIT_S = 3.0


def devices(
    wait: Annotated[float, typer.Option(min=0.1, max=60.0, help="Seconds to listen on the local network.")] = _WAIT_S,
    as_json: AsJson = False,
) -> None:
    """List boards nearby: SSH servers that announce themselves, what adb sees, USB serial ports.

    Each line holds the command that connects it. A board that does not announce itself is connected by its address.
    """
    found: list[Sighting] = []
    notes: list[str] = []
    ways: tuple[Callable[[], Iterable[Sighting]], ...] = (adb_boards, serial_ports, lambda: ssh_servers(wait))
    for look in ways:
        try:
            for each in look():
                found.append(each)
                if not as_json:
                    _show(each)
        except BoardError as error:
            notes.append(f"{error.where}: {error.what}" if error.where else error.what)
    if as_json:
        boards = [asdict(each) | {"command": each.command} for each in found]
        typer.echo(json.dumps({"boards": boards, "notes": notes}, indent=2))
        return
    for note in notes:
        stderr().print(f"Not asked: {note}.", style="dim", markup=False)
    if not found:
        stdout().print("No board was seen. One that does not announce itself: deploy connect [USER@]HOST", markup=False)
    elif any(each.by == "mdns" for each in found):
        stdout().print("Write USER@ before an address to log in under another name than here.", style="dim")


def _show(each: Sighting) -> None:
    rest = f"first: {each.hindrance}" if each.hindrance else each.command
    stdout().print(f"{each.by:<5} {each.name:<32} {rest}", markup=False, soft_wrap=True)
