"""`deploy methods` lists settings, and the methods that they choose from."""

import json
from dataclasses import asdict

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from toolkit.cli.console import stdout
from toolkit.cli.options import AsJson
from toolkit.methods import METHODS
from toolkit.settings import all_settings


def methods(as_json: AsJson = False) -> None:
    """List the settings of `--config` and `--set`, and the methods that they choose from."""
    if as_json:
        listed = {name: [asdict(each) for each in choices] for name, choices in METHODS.items()}
        typer.echo(json.dumps({"settings": [asdict(each) for each in all_settings()], "methods": listed}, indent=2))
        return
    console = stdout()
    table = Table(box=SIMPLE, title="Settings: --set NAME=VALUE, or a table a section in the file of --config")
    for column in ("name", "default", "what it does"):
        table.add_column(column, no_wrap=column == "name", overflow="fold")
    for each in all_settings():
        table.add_row(each.name, escape(each.default or "–"), f"{escape(each.help)}\n[dim]{escape(each.takes)}[/]")
    console.print(table)
    for name, choices in METHODS.items():
        table = Table(box=SIMPLE, title=name)
        for column in ("method", "what it is"):
            table.add_column(column, no_wrap=column == "method")
        for method in choices:
            source = f"\n[dim]{escape(method.source)}[/]" if method.source else ""
            table.add_row(method.name, escape(method.sentence) + source)
        console.print(table)
