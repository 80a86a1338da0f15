"""Files in checksummed pieces, several on their way at once; a damaged piece travels again, shorter."""

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from toolkit.devices.serial.frames import cksum_of
from toolkit.devices.serial.line import LineLost
from toolkit.devices.serial.session import CANNOT_WRITE, DAMAGED, OK, READ, WRITE, Session
from toolkit.devices.streams import part_name, shell_path
from toolkit.errors import BoardError
from toolkit.units import format_bytes

_WINDOW = 2  # pieces on their way: enough that the line never waits for the board
_TRIES = 16
_CKSUM_RATE = 2e6  # bytes per second of a slow board
_BLOCK = 1 << 20


def push(session: Session, local: Path, remote: str, where: str) -> None:
    """See `Device.push`."""
    path, part = _path(remote), _path(part_name(remote))
    folder = PurePosixPath(remote).parent
    with local.open("rb") as file:
        crc, size = cksum_of(iter(lambda: file.read(_BLOCK), b""))
        begin = f"f={part}; at=0; [ -d {_path(str(folder))} ] || return 4; [ -d {path} ] && return 5; printf '' >\"$f\""
        status, said = session.evaluate(begin)
        if status == 4:
            raise BoardError(f"no such folder: {folder}", where=where)
        if status == 5:
            raise BoardError(f"{remote} is a folder", where=where, next="Name a file in it.")
        if status:
            raise BoardError(f"cannot write {remote}: {_reason(said)}", where=where)
        try:
            if not store(session, file, size):
                raise _full(session, remote, str(folder), size, where)
            end = f'[ "$(cksum <"$f")" = "{crc} {size}" ] || return 7; mv -f "$f" {path}'
            status, said = session.evaluate(end, busy_s=size / _CKSUM_RATE)
        except LineLost:
            raise
        except BaseException:  # Ctrl-C, or the board's disk is full
            session.fall_behind()
            session.evaluate('rm -f "$f"')
            raise
    if status:
        session.evaluate('rm -f "$f"')
        what = "arrived damaged" if status == 7 else f"cannot be put in place: {_reason(said)}"
        raise BoardError(f"{remote} {what}", where=where, next="Run again.")


def pull(session: Session, remote: str, local: Path, where: str) -> None:
    """See `Device.pull`."""
    path = _path(remote)
    look = f'[ -f {path} ] || return 4; [ -r {path} ] || return 5; g={path} pos=-1 w=; wc -c <"$g"'
    status, said = session.evaluate(look)
    if status:
        raise BoardError(f"{'no such file' if status == 4 else 'may not be read'}: {remote}", where=where)
    size = int(said)
    part = Path(part_name(str(local)))
    try:
        with part.open("x+b") as file:
            for piece in fetch(session, 0, size, remote, where):
                file.write(piece)
            file.seek(0)
            crc, _ = cksum_of(iter(lambda: file.read(_BLOCK), b""))
        _, said = session.evaluate('cksum <"$g"', busy_s=size / _CKSUM_RATE)
        if said.split()[:2] != [b"%d" % crc, b"%d" % size]:
            raise BoardError(f"{remote} changed while it was read", where=where, next="Run again.")
        part.replace(local)
    except BaseException:
        session.fall_behind()
        raise
    finally:
        part.unlink(missing_ok=True)


def store(session: Session, file: BinaryIO, size: int) -> bool:
    """Fill the file that the loop's `f` names, from its start; False if the board cannot write any more."""
    pace, flight, failures = session.writing, deque[tuple[int, int, int]](), 0
    sent = done = 0
    heard = time.monotonic()
    while done < size:
        while sent < size and len(flight) < (_WINDOW if session.full_duplex else 1):
            file.seek(sent)
            piece = file.read(pace.size)
            id = session.send(WRITE, sent, len(piece), session.codec.encode(piece))
            sent += len(piece)
            flight.append((id, len(piece), sent))
        in_flight = session.codec.encoded_size(sent - done)
        reply = session.reply([id for id, _, _ in flight], 2 * in_flight / session.rate)
        if reply and reply.status == CANNOT_WRITE:
            return False
        if reply and reply.status == OK and (reply.id, reply.value) == (flight[0][0], flight[0][2]):
            now = time.monotonic()
            pace.arrived(flight.popleft()[1], now - heard)
            done, heard, failures = reply.value, now, 0
            continue
        failures += 1
        if failures == _TRIES:
            raise session.garbage()
        pace.damaged()
        flight.clear()
        done = sent = session.synchronise()
        heard = time.monotonic()
    return True


def fetch(session: Session, start: int, end: int, name: str, where: str) -> Iterator[bytes]:
    """The bytes from `start` to `end` of the file that the loop's `g` names, in order, as they come."""
    pace, failures = session.reading, 0
    flight: dict[int, tuple[int, int]] = {}
    again: list[tuple[int, int]] = []
    early: dict[int, bytes] = {}
    asked = at = start
    heard = time.monotonic()
    while at < end:
        while (again or asked < end) and len(flight) < (_WINDOW if session.full_duplex else 1):
            offset, size = again.pop(0) if again else (asked, min(pace.size, end - asked))
            asked = max(asked, offset + size)
            flight[session.send(READ, offset, size)] = (offset, size)
        in_flight = session.codec.encoded_size(sum(size for _, size in flight.values()))
        reply = session.reply(list(flight), 0.5 * in_flight / session.rate)
        if reply is None or reply.status == DAMAGED:
            lost = list(flight)
            session.synchronise()
        else:
            lost = [id for id in flight if id < reply.id]  # answers come in the order of the questions
            offset, size = flight.pop(reply.id)
            piece = session.codec.decode(reply.payload)
            if len(piece) < size:
                raise BoardError(f"{name} became shorter while it was read", where=where, next="Run again.")
            early[offset] = piece
            now = time.monotonic()
            pace.arrived(size, now - heard)
            heard, failures = now, 0
        if lost:
            failures += 1
            if failures == _TRIES:
                raise session.garbage()
            pace.damaged()
            pieces = [flight.pop(id) for id in lost]
            again = [part for offset, size in pieces for part in _parts(offset, size, pace.size)] + again
        while at in early:
            piece = early.pop(at)
            at += len(piece)
            yield piece


def _parts(offset: int, size: int, largest: int) -> list[tuple[int, int]]:
    return [(at, min(largest, offset + size - at)) for at in range(offset, offset + size, largest)]


def _path(remote: str) -> str:
    """Quoted for the board's shell, and never taken for an option."""
    if remote == "~":
        return "~"
    return shell_path(remote if remote.startswith(("/", "~/")) else f"./{remote}")


def _reason(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1].rsplit(": ", 1)[-1] if lines else "the board does not say why"


def _full(session: Session, remote: str, folder: str, size: int, where: str) -> BoardError:
    _, said = session.evaluate(f'rm -f "$f"; df -Pk {_path(folder)}')
    rows = said.decode(errors="replace").splitlines()
    fields = rows[-1].split() if rows else []
    known = len(fields) > 3 and fields[3].isdigit()
    free = f"{format_bytes(int(fields[3]) * 1024)} are free" if known else "no more room"
    return BoardError(
        f"disk full: {remote} needs {format_bytes(size)}, {free}",
        where=where,
        next="Make room on the board, then run again.",
    )
