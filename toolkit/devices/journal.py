"""What happened on a board, by its own clock: an entry each in `journal` there, as applications write it, too."""

import getpass
import json
import shlex
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edge_runtime.journal import BEFORE, MOST_BYTES, NAME
from toolkit.devices.device import check
from toolkit.devices.home import Home
from toolkit.errors import BoardError

# A clock that says more is none, nor a line that nests deeper than entries do.
_LATEST_S = 2**33


@dataclass(frozen=True)
class Entry:
    """`at_s` is in seconds since 1970; `details` is whatever else the line says."""

    at_s: int
    event: str
    by: str
    release: str | None
    details: dict[str, Any]


def note(home: Home, event: str, **fields: Any) -> None:
    """Add an entry; where that is not possible none is: what happens does not depend on it."""
    text = json.dumps({"event": event, "by": f"{getpass.getuser()}@{socket.gethostname()}", **fields})
    with suppress(BoardError):
        home.run(
            f"{home.guard} || exit 0\n"
            # No link of ours leads out of the folder.
            f"if [ -L {NAME} ] || {{ [ -e {NAME} ] && [ ! -f {NAME} ]; }}; then exit 0; fi\n"
            f'printf \'\\n{{"at_s": %s, %s\' "$(date +%s)" {shlex.quote(text[1:])} >>{NAME}\n'
            f'[ "$(wc -c <{NAME} | tr -d " ")" -le {MOST_BYTES} ] || mv -f {NAME} {BEFORE}'
        )


def read_journal(home: Home, last: int) -> list[Entry]:
    """The newest so many, the oldest first; what is no entry is left out. Raises BoardError."""
    say = f"for file in {BEFORE} {NAME}; do [ ! -f $file ] || {{ cat $file; echo; }}; done"
    done = check(home.ask(say), "reading the journal", home.where)
    found = [entry for line in done.stdout.decode(errors="replace").splitlines() if (entry := parse_entry(line))]
    return found[-last:]


def parse_entry(line: str) -> Entry | None:
    """None for what is none: a power cut may leave half a line."""
    with suppress(ValueError, RecursionError):
        said = json.loads(line, parse_constant=lambda name: None)  # a loss that is no number
        if isinstance(said, dict) and isinstance(said.get("event"), str) and _is_time(said.get("at_s")):
            rest = {key: value for key, value in said.items() if key not in ("at_s", "event", "by", "release")}
            release = said.get("release")
            by = str(said.get("by", ""))
            return Entry(said["at_s"], said["event"], by, release if isinstance(release, str) else None, rest)
    return None


def _is_time(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < _LATEST_S
