"""`deploy doctor` repeats the checks of a target's board and writes a report that can be sent."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.checks_table import checks_table
from toolkit.cli.console import stderr, stdout
from toolkit.cli.options import AsJson, HostAddress, RuntimeName, TargetName
from toolkit.errors import BadInput
from toolkit.targets import load_target

EPILOG = (
    "Examples:  [bold]deploy doctor --target host[/bold]\n\n"
    "[bold]deploy doctor --target raspberry-pi-5 --report board.json[/bold]"
)
SOME_FAILED = 3
_WRITABLE = "Name a file in a folder of yours."


def doctor(
    target: TargetName = "host",
    host: HostAddress = None,
    runtime: RuntimeName = None,
    report_file: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write what was found, without names, as JSON.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a board from the login to the runtime's first import; exit with 3 if anything is not right.

    The agent and the runtime are put there if they are not, as a deployment would. The report names no user, host,
    address or key, and can be attached to an issue.
    """
    board = load_target(target, host)
    if report_file and not report_file.parent.is_dir():  # before the minutes that the checks may take
        raise BadInput(
            "the report cannot be written: its folder does not exist", where=str(report_file), next=_WRITABLE
        )
    from toolkit.contact.diagnose import diagnose  # the runtimes take seconds to import: bad input is refused before
    from toolkit.contact.report import report, report_text

    notes = stderr()
    found = diagnose(board, runtime, lambda text: notes.print(text, style="dim", markup=False))
    told = report(found, datetime.now(UTC))
    if report_file:
        _write(report_file, report_text(told))
    if as_json:
        typer.echo(report_text(told), nl=False)
    else:
        stdout().print(checks_table(f"{board.name} ({board.family.name})", found.checks))
        if report_file:
            stdout().print(f"Written: {report_file}", markup=False)
    if not found.ok:
        raise typer.Exit(SOME_FAILED)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"the report cannot be written: {error.strerror}", where=str(path), next=_WRITABLE) from None
