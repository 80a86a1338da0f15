"""Checks of a board on one screen."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from toolkit.devices.survey import Check


def checks_table(title: str, checks: Sequence[Check]) -> Table:
    """One screen: what was looked at, what was found, and what a failing one needs."""
    table = Table(title=escape(title))
    for column in ("", "check", "found", "needs"):
        table.add_column(column, overflow="fold")  # paths and commands are whole, to be copied
    for each in checks:
        mark = "[green]✓[/]" if each.ok else "[bold red]✗[/]"
        table.add_row(mark, each.name, escape(each.found), "" if each.ok else escape(each.need))
    return table
