"""How the command line ends: an exit code, and one or two lines for what a user can do something about."""

import json
import os
import sys

import typer
from rich.console import Console
from rich.markup import escape
from typer.exceptions import Abort, TyperException

from toolkit.cli.interrupts import Terminated, go_unheard, heeding_signals
from toolkit.cli.moved import moved_option
from toolkit.cli.next_command import at_host, given_host
from toolkit.errors import DeployError

INTERRUPTED, TERMINATED = 130, 143
# Options before any verb; others are those of `run`.
_OF_DEPLOY = ("--help", "--version", "--install-completion", "--show-completion")
_INSTALLS_NOTHING = {"plan", "profile", "frontier"}
_GO_ON = "run the same command again to go on."


def run_cli(app: typer.Typer, arguments: list[str]) -> int:
    """Run a command line; returns its exit code. Errors that are no DeployError are bugs and show their traceback."""
    if arguments and arguments[0].startswith("-") and arguments[0] not in _OF_DEPLOY:
        arguments = ["run", *arguments]
    with heeding_signals():
        return _run(app, arguments)


def _run(app: typer.Typer, arguments: list[str]) -> int:
    try:
        exit_code = app(arguments, prog_name="deploy", standalone_mode=False)
    except DeployError as error:
        return _ended_by(error, arguments)
    except (KeyboardInterrupt, Abort):
        exit_code = INTERRUPTED
    except Terminated:
        exit_code = TERMINATED
    except TyperException as error:
        moved = moved_option(getattr(error, "option_name", ""), arguments)
        if moved:
            return _ended_by(moved, arguments)
        usage = getattr(error, "show", None)
        if usage is None:
            raise
        error.message = error.message.replace("Value error, ", "")  # pydantic's words, of which typer makes its own
        if "--json" in arguments:
            _print_json(error.format_message(), None, "See --help.")
        usage()
        return error.exit_code
    if exit_code in (INTERRUPTED, TERMINATED):  # typer, too, ends with the former
        if "--json" in arguments:
            _print_json("interrupted", None, _GO_ON.capitalize())
        go_unheard()
        serves = "The board serves what it served before"
        if not _INSTALLS_NOTHING & set(arguments[:1]):
            serves += ", or the new release if it had accepted that"
        _console().print(f"Interrupted. {serves}; {_GO_ON}")
    return exit_code if isinstance(exit_code, int) else 0


def show(error: DeployError) -> None:
    """What and where on one line of stderr, what to do next on another."""
    one_line = error.sentence.replace("\n", " ")
    stop = "" if one_line.endswith((".", "!", "?")) else "."
    _console().print(f"[bold red]error[/] {escape(one_line)}{stop}")
    if error.next:
        _console().print(error.next.replace("\n", " "), markup=False)


def _ended_by(error: DeployError, arguments: list[str]) -> int:
    if error.next:
        error.next = at_host(error.next, given_host(arguments))
    if "--json" in arguments:
        _print_json(error.what, error.where, error.next)
    show(error)
    return error.exit_code


def _console() -> Console:
    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def _print_json(what: str, where: str | None, following: str | None) -> None:
    try:
        print(json.dumps({"error": what, "where": where, "next": following}), flush=True)
    except BrokenPipeError:  # whoever asked is gone: an interrupt often goes to all programs of a pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more as it ends
