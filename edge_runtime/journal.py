"""What happened on a board, for `deploy logs`: what was activated, refused, learned, undone, and by whom.

`journal` in our folder, one JSON object a line, the newest last, of the last few hundred. Nothing of what went into a
network or came out. Deployers write there, too (`toolkit/devices/journal.py`).
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import Any

NAME = "journal"
MOST_BYTES, KEPT_LINES = 200_000, 500


def note(root: str, event: str, **fields: Any) -> None:
    """Add a line by the board's clock; where that is not possible nothing is: what happens does not depend on it."""
    line = json.dumps({"at_s": int(time.time()), "event": event, "by": f"application {os.getpid()}", **fields})
    path = os.path.join(root, NAME)
    with suppress(OSError):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(file, line.encode() + b"\n")  # at once: several processes write
            size = os.fstat(file).st_size
        finally:
            os.close(file)
        if size > MOST_BYTES:
            _cut(path)


def _cut(path: str) -> None:
    aside = f"{path}.{os.getpid()}"
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)[-KEPT_LINES:]
    with open(aside, "wb") as file:
        file.writelines(lines)
    os.replace(aside, path)
