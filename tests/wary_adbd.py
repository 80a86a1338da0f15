"""A TCP server that speaks adb as a phone does whose owner has not accepted this computer's key yet."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CONNECT, _AUTHENTICATE = b"CNXN", b"AUTH"
_TOKEN, _SIGNATURE = 1, 2


@contextmanager
def wary_adbd() -> Iterator[int]:
    """Its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]


def _serve(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            link, _ = listener.accept()
            threading.Thread(target=_ask_for_keys, args=(link,), daemon=True).start()


def _ask_for_keys(link: socket.socket) -> None:
    """Each signature is by a key it does not know; the public key would be shown to the owner, who is away."""
    with suppress(OSError), link, link.makefile("rb") as stream:
        while head := stream.read(24):
            command, kind, _, length, _, _ = struct.unpack("<4s5I", head)
            stream.read(length)
            if command == _CONNECT or (command == _AUTHENTICATE and kind == _SIGNATURE):
                token = bytes(20)
                word = struct.unpack("<I", _AUTHENTICATE)[0]
                link.sendall(struct.pack("<6I", word, _TOKEN, 0, len(token), sum(token), word ^ 0xFFFFFFFF) + token)
