"""Telling a full disk from the many other reasons for which a file does not arrive whole."""

import re

from toolkit.devices.device import Device
from toolkit.devices.streams import shell_path
from toolkit.errors import BoardError
from toolkit.units import format_bytes


def disk_full(device: Device, remote: str, size: int, where: str) -> BoardError | None:
    """The error to raise if the folder of `remote` has no room for `size` bytes, else None. Raises BoardError."""
    folder = shell_path(remote[: remote.rfind("/") + 1] or ".")
    table = device.run(f"df -Pk -- {folder}", timeout_s=30).stdout
    row = re.search(rb"(\d+)\s+\d+%", table)
    free = int(row.group(1)) * 1024 if row else size
    if free >= size:
        return None
    return BoardError(
        f"disk full: {remote} needs {format_bytes(size)}, {format_bytes(free)} are free",
        where=where,
        next="Make room on the board, then run again.",
    )
