"""Which class each row of a head is of that a board serves: what it learned may tell others apart than its release."""

from pathlib import Path

from edge_runtime.classes import Rows, rows_of_classes, rows_of_release
from edge_runtime.tensors import read_arrays
from toolkit.devices.home import Home
from toolkit.devices.releases.fetch import Fetched, fetch_learned, has_learned
from toolkit.errors import BoardError


def served_rows(home: Home, found: Fetched) -> Rows:
    """Of what the board serves now on top of that release. Raises BoardError for a damaged state."""
    if "spare_classes" not in found.manifest or not has_learned(home, found.digest):
        return rows_of_release(found.manifest)
    return learned_rows(found, fetch_learned(home, found.digest, found.folder), home.where)


def learned_rows(found: Fetched, learned: Path, where: str) -> Rows:
    """Of a file of what was learned on top of that release. Raises BoardError."""
    try:
        return rows_of_classes(found.manifest, read_arrays(str(learned)))
    except (ValueError, KeyError) as error:
        raise BoardError(
            f"what it has learned on top of release {found.digest[:12]} is damaged: {error}",
            where=where,
            next=f"`deploy adapt --target {where} --undo` goes back to what was served before.",
        ) from None
