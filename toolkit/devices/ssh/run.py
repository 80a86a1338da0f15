"""One command on one SSH channel: start it, read it to its end."""

import re
import string
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import paramiko

from toolkit.devices.device import Completed
from toolkit.devices.streams import deliver_lines

_CHUNK = 1 << 16
_SEND_TIMEOUT_S = 60.0
_SAFE = frozenset(string.ascii_letters + string.digits + ' "#$%&()*+,-./:;<=>?@[]^_`{|}~')
_WORD = 10_000  # characters, at most four bytes each: Linux limits an argument to 128 KiB


def start(channel: paramiko.Channel, command: str, mark: str) -> None:
    """Start the marked command, its stdin empty, whatever the login shell. Raises what paramiko raises."""
    channel.exec_command("exec /bin/sh -s")
    channel.settimeout(_SEND_TIMEOUT_S)
    try:
        channel.sendall(script(command, mark))
        channel.shutdown_write()
    except TimeoutError:
        raise
    except OSError:  # a login shell that has ended already: what it said tells why
        if not channel.transport.is_active():
            raise


def script(command: str, mark: str, stdin: str = "</dev/null") -> bytes:
    """One line for the stdin of a shell, which sh, fish, csh and all their kind read alike.

    Where `stdin` is empty, the command reads what comes after that line; it must not be sent before the command has
    said something, since a shell reads ahead.

    A `.bashrc` may put any of them in the place of the shell that was asked for. So it is words in single quotes, in
    which nothing is special anywhere; what would be, for one of them, is written in octal.
    """
    safe = "".join(c if c in _SAFE else "".join(f"\\0{byte:03o}" for byte in _bytes(c)) for c in command)
    words = re.findall(rf"(?:\\0[0-7]{{3}}|.){{1,{_WORD}}}", safe)
    quoted = " ".join(f"'{word}'" for word in words)
    # The outer shell turns a signal into 128 + n.
    run = f'/bin/sh -c "$(printf %b "$@")" {stdin}; exit $?'
    return f"exec env {mark} /bin/sh -c '{run}' sh {quoted}\n".encode()


def _bytes(character: str) -> bytes:
    return character.encode("utf-8", "surrogateescape")


def read_to_end(
    channel: paramiko.Channel, deadline: float, on_line: Callable[[bytes], None] | None
) -> Completed | None:
    """Both streams to their ends and the status (-1: the connection went first), or None at the deadline."""
    stdout, stderr, pending = bytearray(), bytearray(), bytearray()
    channel.settimeout(max(0.001, deadline - time.monotonic()))
    drain = threading.Thread(target=_drain_stderr, args=(channel, stderr), daemon=True)
    drain.start()  # the streams share one window: unread stderr would stop stdout
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return None
        channel.settimeout(remaining)
        try:
            chunk = channel.recv(_CHUNK)
        except TimeoutError:
            return None
        if not chunk:
            break
        stdout += chunk
        deliver_lines(pending, chunk, on_line)
    if pending:
        deliver_lines(pending, b"\n", on_line)
    drain.join(max(0.0, deadline - time.monotonic()))
    ended = channel.status_event.wait(max(0.0, deadline - time.monotonic()))
    if drain.is_alive() or not ended:
        return None
    return Completed(channel.exit_status, bytes(stdout), bytes(stderr))


def _drain_stderr(channel: paramiko.Channel, into: bytearray) -> None:
    with suppress(TimeoutError):
        while chunk := channel.recv_stderr(_CHUNK):
            into += chunk
