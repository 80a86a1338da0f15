"""SHA-256 of files, on this machine and on a board: there with nothing but its shell and `sha256sum`."""

import hashlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from toolkit.devices.home import Home
from toolkit.errors import BoardError

_TIMEOUT_S = 900.0


def sha256_of(path: Path) -> str:
    """Digest of a file on this machine."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums(home: Home, paths: Sequence[str]) -> list[str | None]:
    """Digest of each file on the board, None where there is no such file. Raises BoardError without `sha256sum`."""
    # By its stdin: names with odd characters would be printed escaped.
    each = "; ".join(f"{{ sha256sum < {shlex.quote(path)} || echo -; }} 2>/dev/null" for path in paths)
    done = home.ask(f"sha256sum < /dev/null > /dev/null || exit 127; {each}", timeout_s=_TIMEOUT_S)
    if done.status == 127:
        raise BoardError(
            "has no sha256sum, and what cannot be checked is not installed",
            where=home.where,
            next="Install coreutils, busybox or toybox on the board.",
        )
    lines = done.stdout.decode(errors="replace").splitlines()
    if len(lines) != len(paths):
        raise BoardError(f"checked {len(lines)} of {len(paths)} files", where=home.where, next="Run again.")
    return [line[:64] if re.match(r"[0-9a-f]{64}\b", line) else None for line in lines]
