"""`deploy`: parse, call one function, render. Without a verb it runs the deployment."""

import sys

from toolkit.cli.app import app
from toolkit.cli.errors import run_cli


def main() -> None:
    """The console script."""
    sys.exit(run_cli(app, sys.argv[1:]))
