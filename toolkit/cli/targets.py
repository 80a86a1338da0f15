"""`deploy targets` lists the boards."""

import json

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from toolkit.cli.console import stderr, stdout
from toolkit.cli.options import AsJson
from toolkit.targets import Family, read_entries


def targets(as_json: AsJson = False) -> None:
    """List the boards: shipped ones, and those of ./targets/."""
    found, broken = read_entries()
    if as_json:
        told = [{"error": each.what, "where": each.where, "next": each.next} for each in broken]
        typer.echo(json.dumps({"targets": [each.model_dump() for each in found], "broken": told}, indent=2))
        return
    table = Table(box=SIMPLE)
    table.add_column("target", no_wrap=True)
    table.add_column("what it is, how it is reached, what it runs")
    for each in found:
        family = each if isinstance(each, Family) else each.family
        kind = "" if family is each else f"family {family.name}; "
        verified = "verified" if family.verified else "not verified on hardware"
        facts = f"{kind}{each.place or 'give its --host'}; {', '.join(each.runtimes)}; {verified}"
        table.add_row(each.name, f"{escape(each.summary)}\n[dim]{escape(facts)}[/]")
    stdout().print(table)
    for error in broken:
        stderr().print(f"Not listed: {' '.join(error.sentence.split())}.", markup=False, soft_wrap=True)
