"""Room on the board's disk, asked for before anything is sent there."""

import re
import shlex

from toolkit.devices.device import check
from toolkit.devices.home import Home
from toolkit.errors import BoardError
from toolkit.units import format_bytes


def disk_free_bytes(home: Home) -> int:
    """Bytes free on the file system that holds the agent's root."""
    table = check(home.device.run(f"df -Pk -- {shlex.quote(home.root)}"), "reading free space", home.where)
    row = re.search(rb"([0-9]{1,15})\s+[0-9]+%", table.stdout)
    if row is None:
        raise BoardError("does not say how much disk is free", where=f"{home.where}:{home.root}")
    return int(row.group(1)) * 1024


def require_room(home: Home, needed_bytes: int, what: str) -> None:
    """Raises BoardError if `what` does not fit, with a tenth to spare."""
    free = disk_free_bytes(home)
    if needed_bytes * 1.1 > free:
        raise BoardError(
            f"disk full: {what} needs {format_bytes(needed_bytes)}, {format_bytes(free)} are free",
            where=f"{home.where}:{home.root}",
            next="Make room on the board, then run again; it still serves what it served before.",
        )
