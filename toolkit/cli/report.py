"""`deploy report`: draw the page of an earlier run again."""

import json
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.options import AsJson
from toolkit.deployment import load_deployment
from toolkit.errors import BadInput

Result = Annotated[Path, typer.Argument(metavar="RESULT_JSON", help="The `result.json` of a run.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Where to write; `report.html` beside the result."),
]


def report(result: Result, out: Out = None, as_json: AsJson = False) -> None:
    """Draw the report of a run again, from its result.json and nothing else."""
    from toolkit.report import write_report  # plotly takes a second to import: other verbs do not wait for it

    deployment = load_deployment(result)
    page = result.with_name("report.html") if out is None else out
    try:
        write_report(deployment, page)
    except OSError as error:
        raise BadInput(
            f"cannot be written: {error.strerror}", where=str(page), next="Choose another place with --out."
        ) from None
    typer.echo(json.dumps({"page": str(page)}) if as_json else page)
