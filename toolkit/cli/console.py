"""The two places that the command line prints to."""

from typing import IO

from rich.console import Console


def stdout() -> Console:
    """For results."""
    return Console(highlight=False, emoji=False)  # `model:x:` is a name, not a pictogram


def stderr(stream: IO[str] | None = None) -> Console:
    """For progress, notes and errors; `stream` stands for stderr where that is kept for others."""
    return Console(file=stream, stderr=stream is None, highlight=False, emoji=False)
