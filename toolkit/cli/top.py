"""`deploy top` shows how often and how fast applications on a board call what it serves."""

import json
import time
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from toolkit.cli.console import stdout
from toolkit.cli.options import AsJson, HostAddress, TargetName
from toolkit.devices import visit_deployed
from toolkit.devices.counters import Caller, Load, read_load
from toolkit.targets import load_target
from toolkit.units import format_milliseconds

EPILOG = "Examples: [bold]deploy top --target host[/bold], [bold]deploy top --target emulated-pi --every 2[/bold]"


def top(
    target: TargetName = "host",
    host: HostAddress = None,
    every: Annotated[
        float | None, typer.Option(min=0.2, metavar="SECONDS", help="Look again so often, until Ctrl-C.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how often and how fast applications call what the board serves (`edge_runtime`): counts and times alone."""
    board = load_target(target, host)
    with visit_deployed(board) as home:
        found = read_load(home)
        if as_json:
            typer.echo(json.dumps({"target": board.name, **asdict(found)}))
        elif every is None:
            stdout().print(_table(board.name, found))
        else:
            with Live(_table(board.name, found), console=stdout(), auto_refresh=False) as live:
                while True:
                    time.sleep(every)
                    live.update(_table(board.name, read_load(home)), refresh=True)


def _table(board: str, found: Load) -> Table:
    warm = "" if found.temperature_c is None else f", {found.temperature_c:.0f} °C"
    table = Table(title=f"{board}{warm}")
    for column in ("process", "release", "for", "calls", "a second", "p50", "p95", "p99", "longest", "refused", "sure"):
        table.add_column(column, justify="left" if column in ("process", "release") else "right")
    for each in found.callers:
        table.add_row(*_row(each))
    if not found.callers:
        table.caption = "No application has called it by edge_runtime yet: docs/on-the-board.md."
    return table


def _row(each: Caller) -> tuple[str, ...]:
    times = (each.p50_ms, each.p95_ms, each.p99_ms, each.longest_ms)
    sure = "–" if each.sure is None else f"{each.sure:.0%} (accepted at {each.accepted_sure:.0%})"
    return (
        str(each.pid) if each.alive else f"{each.pid}, ended",
        each.release[:12],
        str(timedelta(seconds=each.seconds)),
        f"{each.calls:,}",
        f"{each.calls / each.seconds:.1f}" if each.seconds and each.alive else "–",
        *("–" if value is None else format_milliseconds(value) for value in times),
        f"{each.refused:,}",
        sure,
    )
