"""What transports share: cutting a stream into lines, naming a half-written file, quoting a path."""

import secrets
import shlex
from collections.abc import Callable
from pathlib import PurePosixPath


def deliver_lines(pending: bytearray, chunk: bytes, on_line: Callable[[bytes], None] | None) -> None:
    """Hand each line that `chunk` completes to `on_line`; keep what is left of it in `pending`."""
    if on_line is None:
        return
    *ends, rest = chunk.split(b"\n")
    for end in ends:
        pending += end
        line = bytes(pending)
        pending.clear()
        on_line(line)
    pending += rest


def part_name(path: str) -> str:
    """A name beside `path` for a file that is not complete yet; new each time, so two copies cannot mix."""
    folder, name = PurePosixPath(path).parent, PurePosixPath(path).name
    return str(folder / f".{name}.{secrets.token_hex(4)}.part")


def shell_path(remote: str) -> str:
    """A path on the board, quoted for its shell; `~/` at the start still means the board's home folder."""
    return "~/" + shlex.quote(remote[2:]) if remote.startswith("~/") else shlex.quote(remote)
