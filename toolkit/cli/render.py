"""What the terminal shows at the end: tables and a few sentences."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from toolkit.deployment import Accuracy, Deployment
from toolkit.units import format_bytes, format_interval, format_milliseconds


def allocation(console: Console, result: Deployment) -> None:
    """Layer, choice, rank, predicted time, what the choice is expected to cost; of channels, those that are kept."""
    if not result.allocation:
        return
    table = Table(title=f"Allocation ({result.allocator}, at most {result.bound_gap:.2%} below the best possible gain)")
    table.add_column("layer", overflow="fold")  # what tells layers apart stands at the end of their names
    table.add_column("choice")
    table.add_column("rank", justify="right")
    table.add_column("predicted", justify="right")
    table.add_column("dense", justify="right")
    table.add_column("loss paid, nats", justify="right")
    for each in result.allocation:
        rank = "" if each.rank is None else f"{each.rank}/{each.full_rank}"
        times = f"{each.predicted_ms:.4f} ms", f"{each.dense_ms:.4f} ms"
        choice = each.choice if each.precision == "fp32" else f"{each.choice} {each.precision}"
        table.add_row(escape(each.layer), choice, rank, *times, f"{each.loss_nats:.2g}")
    console.print(table)


def predicted(console: Console, result: Deployment, folder: Path) -> None:
    """What a plan promises, and where it is written."""
    console.print(_costs(result, f"Plan for {result.target}, nothing installed{_clock_note(result)}"))
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)


def closing(console: Console, result: Deployment, folder: Path) -> None:
    """Predicted beside measured, then accuracy, then where everything is."""
    state = f"release {(result.release or '')[:12]} " + ("is active" if result.active else "was NOT activated")
    console.print(_costs(result, f"{result.target}: {state}{_clock_note(result)}"))
    console.print(_accuracies(result))
    if result.host_device_max_abs_difference is not None:
        differ = f"Outputs differ from the host's by at most {result.host_device_max_abs_difference:.1e}"
        share = result.host_device_max_relative_difference
        console.print(f"{differ}." if share is None else f"{differ}, {share:.1e} of their size.")
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)


def _clock_note(result: Deployment) -> str:
    if result.is_estimate:
        return (
            "\nESTIMATE from the datasheet: nothing was measured; the board will take longer, its process more memory"
        )
    if result.latency_ms.clock == "wall":
        return ""
    return "\nlatencies are instruction counts x 2 ns, not wall time"


def _costs(result: Deployment, title: str) -> Table:
    table = Table(title=title)
    for name in ("", "dense", "budget", "predicted", "measured"):
        table.add_column(name, justify="left" if not name else "right")
    latency, memory, size = result.latency_ms, result.peak_memory_bytes, result.size_bytes
    over = "over " if result.is_estimate else ""
    table.add_row(
        "latency, median",
        over + format_milliseconds(latency.dense_median),
        "",
        format_interval(latency.predicted, latency.predicted_low, latency.predicted_high),
        _or_dash(latency.median, format_milliseconds),
    )
    table.add_row(
        "latency, p95",
        _or_dash(latency.dense_p95, format_milliseconds),
        _or_dash(latency.budget, format_milliseconds),
        "",
        _or_dash(latency.p95, format_milliseconds),
    )
    for name, quantity, at_least in (("peak memory", memory, over), ("size", size, "")):
        table.add_row(
            name,
            at_least + format_bytes(quantity.dense),
            _or_dash(quantity.budget, format_bytes),
            at_least + format_bytes(quantity.predicted),
            _or_dash(quantity.measured, format_bytes),
        )
    compact, dense = result.parameters_compact, result.parameters_dense
    table.add_row("parameters", f"{dense:,}", "", f"{compact:,}", f"{compact / dense:.0%} of dense")
    return table


def _accuracies(result: Deployment) -> Table:
    table = Table(title=result.measure[0].upper() + result.measure[1:])
    for name in ("classes", "dense", "compact", "adapted on the device"):
        table.add_column(name, justify="left" if name == "classes" else "right")
    found = result.accuracy
    if found and found.general_dense:
        table.add_row("general (pretrained)", _percent(found.general_dense), _percent(found.general_compact), "")
    if found:
        row = f"{escape(result.task)}: {result.learned_from}"
        of_task = found.task_dense, found.task_compact, found.task_adapted
        table.add_row(row, *map(_percent, of_task))
        for name in found.task_dense.over_all:
            all_of = (each.over_all.get(name) if each else None for each in of_task)
            table.add_row(f"{name} of these", *(_or_dash(each, "{:.1%}".format) for each in all_of))
    return table


def _percent(accuracy: Accuracy | None) -> str:
    return "–" if accuracy is None else f"{accuracy.value:.1%} of {accuracy.examples}"


def _or_dash(value: float | None, form: Callable[[float], str]) -> str:
    return "–" if value is None else form(value)
