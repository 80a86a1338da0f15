"""The disk that a machine keeps: an overlay over the image that all machines share."""

import json
from pathlib import Path

from toolkit.errors import BoardError
from toolkit.lab.board import DISK
from toolkit.lab.tools import require, run_tool

TO_KEEP = ("qemu-img",)


def ensure_kept_disk(folder: Path, image: Path) -> Path:
    """The machine's own disk in `folder`, made at its first power-on.

    Raises BoardError if the one that is there lies over another image, BoardUnavailable without qemu-img.
    """
    require(TO_KEEP)
    disk = folder / DISK
    if not disk.exists():
        new = disk.with_suffix(".new")  # an interrupted qemu-img leaves half a file
        run_tool(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.resolve()), str(new)],
            "making the disk that is kept",
        )
        new.rename(disk)
    said = json.loads(run_tool(["qemu-img", "info", "--output=json", str(disk)], "reading the disk that is kept"))
    if said.get("backing-filename") != str(image.resolve()):
        raise BoardError(
            "the disk that was kept belongs to another version of the board",
            where=str(disk),
            next="Delete that file to begin with a new disk.",
        )
    return disk
