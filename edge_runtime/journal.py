"""What happened on a board, for `deploy logs`: what was activated, refused, learned, undone, and by whom.

`journal` in our folder, one JSON object a line, the newest last; a full one becomes `journal.before`, and the one of
that name goes. Each entry begins with a newline, which ends what a power cut left half. Nothing of what went into a
network or came out is in it. Deployers write there, too (`toolkit/devices/journal.py`).
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import Any

NAME, BEFORE, MOST_BYTES = "journal", "journal.before", 200_000
# Without it the folder is nobody's: a file in it would make it someone else's.
_MARKER = "edge-deploy-folder"
# No link of ours leads out of the folder, and what is no file must not make an application wait.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK


def note(root: str, event: str, **fields: Any) -> None:
    """Add an entry by the board's clock; where that is not possible none is: what happens does not depend on it."""
    if not os.path.isfile(os.path.join(root, _MARKER)):
        return
    line = json.dumps({"at_s": int(time.time()), "event": event, "by": f"application {os.getpid()}", **fields})
    path = os.path.join(root, NAME)
    with suppress(OSError):
        file = os.open(path, _FLAGS, 0o666)
        try:
            os.write(file, b"\n" + line.encode())  # at once: several processes write
            said = os.fstat(file)
        finally:
            os.close(file)
        if said.st_size > MOST_BYTES and os.stat(path).st_ino == said.st_ino:
            os.replace(path, os.path.join(root, BEFORE))
