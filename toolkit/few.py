"""Names in an error: the first few of them."""

from collections.abc import Sequence

_SHOWN = 3


def few(names: Sequence[str]) -> str:
    """The first three, and that there are more."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
