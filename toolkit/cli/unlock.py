"""`deploy unlock`."""

import typer

from toolkit.cli.options import TargetName
from toolkit.devices import visit
from toolkit.devices.releases import lock
from toolkit.targets import load_target


def unlock(target: TargetName = "host") -> None:
    """Take the board's lock from a deployer that is known to be dead; a living one then stops without harm."""
    board = load_target(target)
    with visit(board) as home:
        found = lock.unlock(home)
    typer.echo(f"{board.name} was held by {found}." if found else f"{board.name} is not locked.")
