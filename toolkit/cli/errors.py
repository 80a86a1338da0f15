"""How the command line ends: an exit code, and one or two lines for what a user can do something about."""

import json

import typer
from rich.console import Console
from rich.markup import escape
from typer.exceptions import Abort, TyperException

from toolkit.errors import DeployError

INTERRUPTED = 130


def run_cli(app: typer.Typer, arguments: list[str]) -> int:
    """Run a command line; returns its exit code. Errors that are no DeployError are bugs and show their traceback."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if arguments and arguments[0].startswith("-") and arguments[0] not in ("--help", "--version"):
        arguments = ["run", *arguments]
    try:
        exit_code = app(arguments, prog_name="deploy", standalone_mode=False)
    except DeployError as error:
        if "--json" in arguments:
            print(json.dumps({"error": error.what, "where": error.where, "next": error.next}))
        where = f"{error.where}: " if error.where else ""
        console.print(f"[bold red]error[/] {escape(where + error.what)}".replace("\n", " "))
        if error.next:
            console.print(error.next, markup=False)
        return error.exit_code
    except (KeyboardInterrupt, Abort):
        console.print("Interrupted. The board serves what it served before; run the same command again to go on.")
        return INTERRUPTED
    except TyperException as error:
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        return error.exit_code
    return exit_code if isinstance(exit_code, int) else 0
