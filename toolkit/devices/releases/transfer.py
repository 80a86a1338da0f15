"""Files to a board in pieces that outlive a lost connection: what arrived before is not sent again.

Pieces lie in `incoming/<sha256>/<offset>`. Each is one `push`, which appears whole or not at all; when the last is
there they are joined and checked against the digest. A file whose pieces do not add up is sent once more.
"""

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from toolkit.devices.device import check
from toolkit.devices.digests import sums
from toolkit.devices.home import Home
from toolkit.errors import BoardError

_JOIN_TIMEOUT_S = 900.0
_ATTEMPTS = 2


def arrived(home: Home, digest: str) -> str:
    """Where a file lies after `send`, until it is moved into its place."""
    return home.at("incoming", digest, "whole")


def send(home: Home, files: Mapping[str, Path], on_progress: Callable[[int, int], None] = lambda *_: None) -> int:
    """Bring files to the board, by SHA-256; returns how many bytes travelled.

    `on_progress` hears bytes there and bytes in all. Raises BoardError; what had arrived is used by the next attempt.
    """
    sent = 0
    wanted = dict(files)
    total = sum(path.stat().st_size for path in files.values())
    for _ in range(_ATTEMPTS):
        here = _present(home, list(wanted))
        done = total - sum(path.stat().st_size for path in wanted.values())
        for digest, path in wanted.items():
            for start, length in missing(here.get(digest, {}), path.stat().st_size, home.device.chunk_bytes):
                on_progress(done + start, total)
                _push_piece(home, digest, path, start, length)
                sent += length
            done += path.stat().st_size
        on_progress(done, total)
        _join(home, {digest: path.stat().st_size for digest, path in wanted.items()}, here)
        got = sums(home, [arrived(home, digest) for digest in wanted])
        wanted = {d: path for (d, path), found in zip(wanted.items(), got, strict=True) if found != d}
        if not wanted:
            return sent
        forget(home, list(wanted))
    names = ", ".join(path.name for path in wanted.values())
    raise BoardError(
        f"{names} arrived corrupt",
        where=home.where,
        next="Run again; nothing was activated. Is the line or disk sound?",
    )


def forget(home: Home, digests: list[str]) -> None:
    """Delete what has arrived of those files."""
    folders = " ".join(home.within(home.at("incoming", digest)) for digest in digests)
    check(home.run(f"rm -rf {folders}", timeout_s=_JOIN_TIMEOUT_S), "deleting pieces", home.where)


def missing(pieces: Mapping[int, int], size: int, chunk: int) -> list[tuple[int, int]]:
    """(offset, length) of what is yet to be sent, given length by offset of the pieces that are there.

    A piece counts as far as it continues what precedes it without a gap: pieces of another length may lie there.
    """
    if -1 in pieces:  # joined already
        return []
    start = covered(pieces, size)
    return [(offset, min(chunk, size - offset)) for offset in range(start, size, chunk)] or (
        [(0, 0)] if size == 0 and 0 not in pieces else []
    )


def covered(pieces: Mapping[int, int], size: int) -> int:
    """How many bytes, from the first, the pieces hold without a gap."""
    end = 0
    while 0 < pieces.get(end, 0) <= size - end:
        end += pieces[end]
    return end


def _present(home: Home, digests: list[str]) -> dict[str, dict[int, int]]:
    """Of each file that is on its way: length of each piece by offset; offset -1 is the whole file."""
    folders = " ".join(digests)
    listing = f"cd incoming && mkdir -p {folders} && find {folders} -type f -exec wc -c {{}} +"
    said = check(home.run(listing), "looking for what arrived before", home.where).stdout.decode(errors="replace")
    found: dict[str, dict[int, int]] = {}
    for size, digest, name in re.findall(r"^\s*([0-9]{1,15}) ([0-9a-f]{64})/([0-9]{12}|whole)$", said, re.MULTILINE):
        found.setdefault(digest, {})[-1 if name == "whole" else int(name)] = int(size)
    return found


def _push_piece(home: Home, digest: str, path: Path, start: int, length: int) -> None:
    remote = home.at("incoming", digest, f"{start:012d}")
    if length == path.stat().st_size:
        home.push(path, remote)
        return
    with tempfile.NamedTemporaryFile() as piece, path.open("rb") as whole:
        whole.seek(start)
        piece.write(whole.read(length))
        piece.flush()
        home.push(Path(piece.name), remote)


def _join(home: Home, sizes: Mapping[str, int], before: Mapping[str, Mapping[int, int]]) -> None:
    """Make `whole` of each file's pieces."""
    chunk, steps = home.device.chunk_bytes, ["set -e"]
    for digest, size in sizes.items():
        pieces = before.get(digest, {})
        if -1 in pieces:
            continue
        offsets, end = [], 0
        while end < covered(pieces, size):
            offsets.append(end)
            end += pieces[end]
        offsets += [offset for offset, _ in missing(pieces, size, chunk)]
        names = [f"{offset:012d}" for offset in offsets]
        steps.append(f"cd incoming/{digest}")
        # Each is added to the first, which is copied nowhere; cut short, the first is a longer piece than it was.
        steps += [f"cat {name} >> {names[0]}; rm {name}" for name in names[1:]]
        steps.append(f"mv {names[0]} whole; cd ../..")
    joined = home.run("\n".join(steps), timeout_s=_JOIN_TIMEOUT_S)
    check(joined, "joining pieces", home.where)
