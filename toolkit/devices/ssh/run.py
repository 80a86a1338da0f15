"""One command on one SSH channel: start it, read it to its end."""

import shlex
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import paramiko

from toolkit.devices.device import Completed
from toolkit.devices.streams import deliver_lines

_CHUNK = 1 << 16


def start(channel: paramiko.Channel, command: str, mark: str) -> None:
    """Start the marked command, its stdin empty; the outer shell turns a signal into 128 + n."""
    shells = "/bin/sh -c '/bin/sh -c \"$0\"; exit $?'"
    channel.exec_command(f"exec env {mark} {shells} {shlex.quote(command)}")
    channel.shutdown_write()


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
