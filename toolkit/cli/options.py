"""Options that several verbs share."""

from typing import Annotated

import typer

TargetName = Annotated[str, typer.Option("--target", "-t", help="Board to deploy to; `deploy targets` lists them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; progress goes to stderr.")]
