"""`deploy`: parse, call one function, render. Without a verb it runs the deployment."""

import os
import sys


def main() -> None:
    """The console script."""
    try:
        # Imported here: it takes a moment, and Ctrl-C in that moment is no bug either.
        from toolkit.cli.app import app
        from toolkit.cli.completion import with_verb
        from toolkit.cli.errors import run_cli
        from toolkit.cli.memory import keep_freed_memory
    except KeyboardInterrupt:
        sys.exit(130)
    os.environ.update(with_verb(os.environ))
    keep_freed_memory()
    sys.exit(run_cli(app, sys.argv[1:]))
