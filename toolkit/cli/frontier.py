"""`deploy plan --frontier`: accuracy against predicted latency, by every allocator."""

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from toolkit.cli.chatter import LOG, our_progress
from toolkit.cli.console import stdout
from toolkit.cli.runs import run_folder
from toolkit.errors import BadInput
from toolkit.frontier import Chosen, Frontier, save_frontier
from toolkit.request import Overrides, Request
from toolkit.targets import Target
from toolkit.units import format_bytes, format_milliseconds


def draw(request: Request, board: Target, overrides: Overrides, runs: Path, *, offline: bool, as_json: bool) -> None:
    """Print the table (or JSON), and write `frontier.json` and `frontier.html` into a new folder of `runs`."""
    if {overrides.latency_ms, overrides.speedup, overrides.keep_accuracy} != {None}:
        raise BadInput(
            "draws every latency that there is, so that a limit has no effect",
            where="--frontier",
            next="Leave out --latency, --speedup and --keep-accuracy, or --frontier.",
        )
    from toolkit import pipeline
    from toolkit.report import write_frontier

    make = pipeline.frontier_offline if offline else pipeline.frontier
    with run_folder(runs, board.name) as folder, our_progress(folder / LOG) as progress:
        frontier = make(request, board, overrides, progress)
        save_frontier(frontier, folder / "frontier.json")
        write_frontier(frontier, folder / "frontier.html")
    if as_json:
        typer.echo(frontier.model_dump_json(indent=2))
        return
    console = stdout()
    console.print(_table(frontier))
    console.print(f"Page: {folder / 'frontier.html'}", soft_wrap=True)


def _table(frontier: Frontier) -> Table:
    """One row a limit, one column an allocator."""
    names = list(dict.fromkeys(point.allocator for point in frontier.points))
    clock = "" if frontier.clock == "wall" else "; latencies are instruction counts x 2 ns, not wall time"
    table = Table(
        title=f"Accuracy before recovery on {escape(frontier.judged_on)}, "
        f"by limit of the median on {frontier.target}{clock}",
        caption=f"dense: {frontier.dense.accuracy:.1%} at {format_milliseconds(frontier.dense.predicted_ms)}, "
        f"{format_bytes(frontier.dense.size_bytes)}",
    )
    table.add_column("limit", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    for limit in dict.fromkeys(point.limit_ms for point in frontier.points):
        here = {point.allocator: point for point in frontier.points if point.limit_ms == limit}
        table.add_row(format_milliseconds(limit), *(_cell(here.get(name)) for name in names))
    return table


def _cell(point: Chosen | None) -> str:
    return "–" if point is None else f"{point.accuracy:.1%} in {format_milliseconds(point.predicted_ms)}"
