"""adb's shell protocol, version 2: both outputs of a command apart, and its status."""

import time
from collections.abc import Callable

from toolkit.devices.adb.server import Stream
from toolkit.devices.device import Completed
from toolkit.devices.streams import deliver_lines

SERVICE = "shell,v2,raw:"
_STDOUT, _STDERR, _EXIT = 1, 2, 3


def read_to_end(stream: Stream, deadline: float, on_line: Callable[[bytes], None] | None) -> Completed | None:
    """Both outputs to their ends and the status, or None at the deadline. Raises Lost."""
    stdout, stderr, pending = bytearray(), bytearray(), bytearray()
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return None
        stream.set_timeout(remaining)
        try:
            kind, *length = stream.receive(5)
            data = stream.receive(int.from_bytes(bytes(length), "little"))
        except TimeoutError:
            return None
        if kind == _STDOUT:
            stdout += data
            deliver_lines(pending, data, on_line)
        elif kind == _STDERR:
            stderr += data
        elif kind == _EXIT:  # adbd sends it when the outputs have ended, too; 128 + n for a signal
            if pending:
                deliver_lines(pending, b"\n", on_line)
            return Completed(data[0], bytes(stdout), bytes(stderr))
