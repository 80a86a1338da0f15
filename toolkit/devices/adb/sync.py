"""adb's file protocol: one file at a time, either way, through the service `sync:`."""

import select
import stat
import time
from typing import BinaryIO

from toolkit.devices.adb.server import Refused, Stream

SERVICE = "sync:"
SILENCE_S = 120.0
_CHUNK = 1 << 16  # the most that adbd takes at once
_MODE = stat.S_IFREG | 0o644


def is_folder(stream: Stream, path: str) -> bool:
    """Whether the path is a folder or a link to one. Raises Lost, TimeoutError."""
    stream.send(_request(b"STAT", f"{path}/.".encode(errors="surrogateescape")))
    answer = stream.receive(16)  # name, mode (0: absent), size, time
    return stat.S_ISDIR(int.from_bytes(answer[4:8], "little"))


def send_file(stream: Stream, file: BinaryIO, path: str) -> None:
    """Make the file on the board. Raises Refused with the board's words, Lost, TimeoutError."""
    stream.send(_request(b"SEND", f"{path},{_MODE}".encode(errors="surrogateescape")))
    while chunk := file.read(_CHUNK):
        if select.select([stream], [], [], 0)[0]:
            break  # it answers before the end only to refuse
        stream.send(_request(b"DATA", chunk))
    else:
        stream.send(b"DONE" + int(time.time()).to_bytes(4, "little"))
    name, length = _answer(stream)
    if name != b"OKAY":
        raise Refused(stream.receive(length).decode(errors="replace"))


def receive_file(stream: Stream, path: str, file: BinaryIO) -> None:
    """Write the board's file to `file`. Raises Refused with the board's words, Lost, TimeoutError."""
    stream.send(_request(b"RECV", path.encode(errors="surrogateescape")))
    while True:
        name, length = _answer(stream)
        if name == b"DONE":
            return
        data = stream.receive(length)
        if name != b"DATA":
            raise Refused(data.decode(errors="replace"))
        file.write(data)


def _request(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "little") + data


def _answer(stream: Stream) -> tuple[bytes, int]:
    answer = stream.receive(8)
    return answer[:4], int.from_bytes(answer[4:], "little")
