"""What happened on a board, by its own clock: a line each in `journal` there, as applications write it, too."""

import getpass
import json
import shlex
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edge_runtime.journal import KEPT_LINES, MOST_BYTES, NAME
from toolkit.devices.device import check
from toolkit.devices.home import Home
from toolkit.errors import BoardError


@dataclass(frozen=True)
class Entry:
    """`at_s` is in seconds since 1970; `details` is whatever else the line says."""

    at_s: int
    event: str
    by: str
    release: str | None
    details: dict[str, Any]


def note(home: Home, event: str, **fields: Any) -> None:
    """Add a line; where that is not possible nothing is: what happens does not depend on it."""
    text = json.dumps({"event": event, "by": f"{getpass.getuser()}@{socket.gethostname()}", **fields})
    cut = f"tail -n {KEPT_LINES} {NAME} >work/{NAME} && mv -f work/{NAME} {NAME}"
    with suppress(BoardError):
        home.run(
            f"{home.guard} || exit 0\n"
            f'printf \'{{"at_s": %s, %s\\n\' "$(date +%s)" {shlex.quote(text[1:])} >>{NAME}\n'
            f'[ "$(wc -c <{NAME})" -le {MOST_BYTES} ] || {{ {cut}; }}'
        )


def read_journal(home: Home, last: int) -> list[Entry]:
    """The newest so many, the oldest first; what is no entry is left out. Raises BoardError."""
    done = check(home.ask(f"[ ! -f {NAME} ] || tail -n {last} {NAME}"), "reading the journal", home.where)
    return [entry for line in done.stdout.decode(errors="replace").splitlines() if (entry := parse_entry(line))]


def parse_entry(line: str) -> Entry | None:
    """None for what is none: a power cut may leave half a line."""
    with suppress(ValueError):
        said = json.loads(line, parse_constant=lambda name: None)  # a loss that is no number
        if isinstance(said, dict) and isinstance(said.get("at_s"), int) and isinstance(said.get("event"), str):
            rest = {key: value for key, value in said.items() if key not in ("at_s", "event", "by", "release")}
            release = said.get("release")
            return Entry(
                said["at_s"],
                said["event"],
                str(said.get("by", "")),
                release if isinstance(release, str) else None,
                rest,
            )
    return None
