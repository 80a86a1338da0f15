"""`deploy rollback` lets the board serve the release before."""

import json

import typer

from toolkit.cli.options import AsJson, HostAddress, TargetName
from toolkit.devices import hold_deployed
from toolkit.devices.journal import note
from toolkit.devices.releases import release
from toolkit.targets import load_target


def rollback(target: TargetName = "host", host: HostAddress = None, as_json: AsJson = False) -> None:
    """Serve the previous release again; the present one becomes the previous."""
    board = load_target(target, host)
    with hold_deployed(board) as home:
        left, now = release.rollback(home)
        note(home, "rolled back", release=now, was=left)
    if as_json:
        typer.echo(json.dumps({"target": board.name, "from": left, "to": now}))
    else:
        typer.echo(f"{board.name} serves {now[:12]} again (was {left[:12]}).")
