"""The adb server of this machine: the boards it sees, and streams to their services.

Its protocol is spoken here, as neither client would do: `adb shell` ends with status 0 when the connection is
lost, and adbutils hands over a command's output only at its end.
"""

import os
import shutil
import socket
import subprocess
from typing import Self

from toolkit.errors import BoardError

ANSWER_TIMEOUT_S = 30.0  # the server itself gives up connecting to a board after ten
_LONGEST_REQUEST = 0xFFFF


class Refused(Exception):
    """The server or the board says no, in its own words."""


class Lost(Exception):
    """The connection to the server, or the server's to the board, ended too early."""


class Stream:
    """One connection to the server. Once it leads to a service, the bytes on it are that service's."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each small packet waits 40 ms for the last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def request(self, service: str) -> None:
        """Ask for a service. Raises Refused, Lost; BoardError if the request is longer than adb carries."""
        asked = service.encode(errors="surrogateescape")
        if len(asked) > _LONGEST_REQUEST:
            raise BoardError(f"adb carries no command of {len(asked)} bytes; {_LONGEST_REQUEST} is the most")
        self.send(b"%04x" % len(asked) + asked)
        try:
            answer = self.receive(4)
            if answer != b"OKAY":
                raise Refused(self.text() if answer == b"FAIL" else f"it answers {answer!r}")
        except TimeoutError:
            raise Lost(f"no answer within {ANSWER_TIMEOUT_S:g} s") from None

    def text(self) -> str:
        """A text with its length before it. Raises Lost, TimeoutError."""
        return self.receive(int(self.receive(4), 16)).decode(errors="replace").strip()

    def send(self, data: bytes) -> None:
        """Raises Lost, TimeoutError."""
        try:
            self._link.sendall(data)
        except ConnectionError as error:
            raise Lost(str(error)) from None

    def receive(self, size: int) -> bytes:
        """Exactly so many bytes. Raises Lost, TimeoutError."""
        data = bytearray()
        while len(data) < size:
            try:
                part = self._link.recv(size - len(data))
            except ConnectionError as error:
                raise Lost(str(error)) from None
            if not part:
                raise Lost("the connection ended")
            data += part
        return bytes(data)

    def set_timeout(self, seconds: float) -> None:
        """How long each later call may wait in silence."""
        self._link.settimeout(seconds)

    def fileno(self) -> int:
        """For `select`."""
        return self._link.fileno()


def ask(question: str) -> str:
    """What the server says for itself. Raises Refused, Lost; BoardError if no server can be had."""
    with open_server() as stream:
        stream.request(question)
        try:
            return stream.text()
        except TimeoutError:
            raise Lost(f"no answer within {ANSWER_TIMEOUT_S:g} s") from None


def states() -> dict[str, str]:
    """The boards that the server sees, by serial: `device`, `unauthorized`, `offline` and so on. Raises like `ask`."""
    return dict(line.split("\t", 1) for line in ask("host:devices").splitlines() if "\t" in line)


def open_server() -> Stream:
    """A connection to the server, which is started where none runs. Raises BoardError."""
    host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS", "127.0.0.1")
    port = os.environ.get("ANDROID_ADB_SERVER_PORT", "5037")
    where = f"adb server at {host}:{port}"
    try:
        return Stream(socket.create_connection((host, int(port)), ANSWER_TIMEOUT_S))
    except ConnectionRefusedError:
        _start_server(where)
    except (OSError, ValueError, OverflowError) as error:
        raise BoardError(f"cannot be reached: {error}", where=where, next="See what `adb devices` says.") from None
    try:
        return Stream(socket.create_connection((host, int(port)), ANSWER_TIMEOUT_S))
    except OSError as error:
        raise BoardError(f"cannot be reached: {error}", where=where, next="See what `adb devices` says.") from None


def _start_server(where: str) -> None:
    adb = shutil.which("adb")
    if adb is None:
        raise BoardError(
            "adb is not installed, and boards over adb are reached through it",
            where="this machine",
            next="`apt-get install adb`, or install the Android SDK platform-tools and put them on PATH.",
        )
    done = subprocess.run([adb, "start-server"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or [f"it ended with status {done.returncode}"]
        raise BoardError(f"did not start: {said[0]}", where=where, next="See what `adb start-server` says.")
