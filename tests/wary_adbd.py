"""TCP servers that speak adb as phones do, up to the point at which they are trusted or not; no service answers."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_CONNECT, _AUTHENTICATE = b"CNXN", b"AUTH"
_TOKEN, _SIGNATURE = 1, 2


@contextmanager
def wary_adbd() -> Iterator[int]:
    """The port of a phone whose owner has not accepted this computer's key yet."""
    with _listening(_ask_for_keys) as port:
        yield port


@contextmanager
def friendly_adbd() -> Iterator[int]:
    """The port of a phone that trusts everybody: adb lists it as online."""
    with _listening(_welcome) as port:
        yield port


@contextmanager
def _listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, answer), daemon=True).start()
        yield listener.getsockname()[1]


def _serve(listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            link, _ = listener.accept()
            threading.Thread(target=answer, args=(link,), daemon=True).start()


def _ask_for_keys(link: socket.socket) -> None:
    """Each signature is by a key it does not know; the public key would be shown to the owner, who is away."""
    with suppress(OSError), link, link.makefile("rb") as stream:
        while head := stream.read(24):
            command, kind, _, length, _, _ = struct.unpack("<4s5I", head)
            stream.read(length)
            if command == _CONNECT or (command == _AUTHENTICATE and kind == _SIGNATURE):
                _send(link, _AUTHENTICATE, _TOKEN, 0, bytes(20))


def _welcome(link: socket.socket) -> None:
    with suppress(OSError), link, link.makefile("rb") as stream:
        while head := stream.read(24):
            command, version, _, length, _, _ = struct.unpack("<4s5I", head)
            stream.read(length)
            if command == _CONNECT:
                _send(link, _CONNECT, version, 4096, b"device::ro.product.name=phone;\0")


def _send(link: socket.socket, command: bytes, first: int, second: int, data: bytes) -> None:
    word = struct.unpack("<I", command)[0]
    link.sendall(struct.pack("<6I", word, first, second, len(data), sum(data), word ^ 0xFFFFFFFF) + data)
