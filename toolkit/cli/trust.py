"""`deploy trust` lets a board activate only what a key has signed."""

import json
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.options import AsJson, HostAddress, TargetName
from toolkit.devices import hold
from toolkit.devices.releases import signature
from toolkit.targets import load_target

Key = Annotated[Path, typer.Argument(help="ed25519 public key, e.g. release-key.pub.")]


def trust(key: Key, target: TargetName = "host", host: HostAddress = None, as_json: AsJson = False) -> None:
    """Let the board activate only releases signed with this key, or with one trusted before."""
    board = load_target(target, host)
    signature.read_public_key(key)  # before anything is made on the board
    with hold(board) as home:
        signature.trust(home, key)
    if as_json:
        typer.echo(json.dumps({"target": board.name, "trusted": str(key)}))
    else:
        typer.echo(
            f"{board.name} now activates only releases that a trusted key signed: deploy with --set release.sign=KEY."
        )
