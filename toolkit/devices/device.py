"""The capability every transport offers; everything else is built on these three verbs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toolkit.devices.reasons import reason
from toolkit.errors import BoardError


@dataclass(frozen=True)
class Completed:
    """A command that ended on the board."""

    status: int
    stdout: bytes
    stderr: bytes


class Device(Protocol):
    """A live board. All verbs raise BoardError when the board cannot be reached or the connection breaks."""

    @property
    def chunk_bytes(self) -> int:
        """How much of a large file one push should carry: at most this is sent again when the connection breaks."""
        ...

    def run(
        self, command: str, *, timeout_s: float = 60.0, on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        """Run a POSIX shell command, from the home folder, until it and all that holds its output have ended.

        `on_line` sees each line of stdout, without its newline, as it comes. A command that outlives
        `timeout_s` is killed and raises BoardError. The status of one that signal n ended is 128 + n.
        """
        ...

    def push(self, local: Path, remote: str) -> None:
        """Copy one file to the board; the folder must exist. `~/` at the start is the board's home folder.

        The name appears when the file is complete. Its permissions are the board's defaults.
        """
        ...

    def pull(self, remote: str, local: Path) -> None:
        """Copy one file from the board; the local name appears when the file is complete."""
        ...

    def close(self) -> None:
        """Let go of the connection; safe to call twice."""
        ...


def check(completed: Completed, doing: str, where: str, next: str | None = None) -> Completed:
    """The command's result if it succeeded, else BoardError with the reason that it names, or the end of its stderr.

    `next` is what helps where it names none.
    """
    if completed.status == 0:
        return completed
    known = reason(completed.stderr)
    if known:
        raise BoardError(f"{known[0]} ({doing} failed)", where=where, next=known[1])
    said = completed.stderr.decode(errors="replace").strip().splitlines()
    what = f"{doing} failed with status {completed.status}" + (f": {said[-1]}" if said else "")
    raise BoardError(what, where=where, next=next)
