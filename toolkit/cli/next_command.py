"""Commands that messages propose for a board: they name the address, too, where one was given for it."""

import re
import shlex
from collections.abc import Sequence

_TARGET = re.compile(r"--target [a-z0-9][a-z0-9-]*")


def at_host(text: str, host: str | None) -> str:
    """The text with `--host` behind each `--target NAME` in it: without, the command would go to another board."""
    return text if host is None else _TARGET.sub(lambda found: f"{found[0]} --host {shlex.quote(host)}", text)


def given_host(arguments: Sequence[str]) -> str | None:
    """What a command line says with `--host`."""
    found: str | None = None
    for argument, following in zip(arguments, (*arguments[1:], None), strict=True):
        if argument == "--host":
            found = following
        elif argument.startswith("--host="):
            found = argument.partition("=")[2]
    return found
