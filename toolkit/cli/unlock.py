"""`deploy unlock` takes the lock of a board from a dead deployer."""

import json
from dataclasses import asdict

import typer

from toolkit.cli.options import AsJson, HostAddress, TargetName
from toolkit.devices import connected, find_home, open_home
from toolkit.devices.releases import lock
from toolkit.targets import load_target


def unlock(target: TargetName = "host", host: HostAddress = None, as_json: AsJson = False) -> None:
    """Take the board's lock from a deployer that is known to be dead; a living one then stops without harm."""
    board = load_target(target, host)
    with connected(board) as device:
        found = lock.unlock(open_home(device, board)) if find_home(device, board) else None
    if as_json:
        typer.echo(json.dumps({"target": board.name, "was_held_by": asdict(found) if found else None}))
    else:
        typer.echo(f"{board.name} was held by {found}." if found else f"{board.name} is not locked.")
