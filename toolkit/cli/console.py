"""The two places that the command line prints to."""

from rich.console import Console


def stdout() -> Console:
    """For results."""
    return Console(highlight=False, emoji=False)  # `model:x:` is a name, not a pictogram


def stderr() -> Console:
    """For progress, notes and errors."""
    return Console(stderr=True, highlight=False, emoji=False)
