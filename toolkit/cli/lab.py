"""`deploy lab`: emulated boards on this machine, for trying everything without hardware."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from toolkit import lab
from toolkit.cli.console import stderr
from toolkit.targets import EmulatedCpu

app = typer.Typer(
    name="lab",
    help="Emulated arm64 boards on this machine, for working without hardware.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Name = Annotated[str, typer.Argument(help="An emulated target.")]
KeepDisk = Annotated[
    bool, typer.Option("--keep-disk", help="Begin with the disk of last time, and keep what is put on it.")
]
Cpu = Annotated[
    EmulatedCpu | None,
    typer.Option("--cpu", metavar="NAME", help="cortex-a72 | cortex-a76; else as the target says."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]

EMULATED_PI = "emulated-pi"


@app.command(epilog="Example: [bold]deploy lab up emulated-pi[/bold]")
def up(name: Name = EMULATED_PI, keep_disk: KeepDisk = False, cpu: Cpu = None, as_json: AsJson = False) -> None:
    """Boot the board and wait for its SSH server; the first time, build its image too.

    A board that already runs is left as it is. It runs until [bold]deploy lab down[/bold], and forgets all
    that was put on its disk then, unless told to keep it. [bold]emulated-pi[/bold] has a Cortex-A72, as the
    Raspberry Pi 4, and [bold]emulated-android[/bold] and [bold]emulated-console[/bold] are other ways to it;
    [bold]emulated-pi-5[/bold] has a Cortex-A76, as the Raspberry Pi 5. Both can run at once.
    """
    console = stderr()
    with console.status("") as spinner:

        def on_step(text: str) -> None:
            spinner.update(f"{text} …")
            if not console.is_terminal:  # a log has no spinner
                console.print(f"{text} …")

        board = lab.up(name, on_step=on_step, keep_disk=keep_disk, cpu=cpu)
    _show(name, board, as_json)


@app.command(epilog="Example: [bold]deploy lab down emulated-pi[/bold]")
def down(name: Name = EMULATED_PI, as_json: AsJson = False) -> None:
    """Switch the board off; what was on its disk is gone, unless it was brought up with [bold]--keep-disk[/bold]."""
    _show_ended(name, lab.down(name), as_json)


@app.command(epilog="Example: [bold]deploy lab cut emulated-pi[/bold]")
def cut(name: Name = EMULATED_PI, as_json: AsJson = False) -> None:
    """Pull the board's plug at this very instant, to see what survives.

    [bold]deploy lab up --keep-disk[/bold] boots it again with what had reached its disk.
    """
    _show_ended(name, lab.cut(name), as_json)


@app.command(epilog="Example: [bold]deploy lab status --json[/bold]")
def status(name: Name = EMULATED_PI, as_json: AsJson = False) -> None:
    """Tell whether the board runs, and how to reach it by hand."""
    _show(name, lab.status(name), as_json)


def _show_ended(name: str, was_running: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"name": name, "running": False, "was_running": was_running}))
    else:
        typer.echo(f"{name} is down." if was_running else f"{name} was not running.")


def _show(name: str, board: lab.Board | None, as_json: bool) -> None:
    if as_json:
        facts = asdict(board) if board else {}
        typer.echo(json.dumps({**facts, "name": name, "running": board is not None}, default=str))
    elif board is None:
        typer.echo(f"{name} is not running. Start it: deploy lab up {name}")
    else:
        typer.echo(
            f"{name} is running (process {board.pid}, {board.cpu}).\n"
            f"  ssh      ssh -i {board.identity_file} -o UserKnownHostsFile={board.known_hosts_file}"
            f" -p {board.ssh_port} root@127.0.0.1\n"
            f"  adb      adb connect 127.0.0.1:{board.adb_port}\n"
            f"  console  127.0.0.1:{board.serial_port} (log: {board.console_log})\n"
            f"  password of root: in {board.password_file}"
        )
