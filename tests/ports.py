"""Free ports of this machine."""

import socket
from contextlib import ExitStack

ADB_SCANS = range(5555, 5586)


def free_ports(count: int = 3) -> int:
    """The first of so many free ports in a row, none of which an adb server would connect to by itself."""
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            ports = range(first.getsockname()[1], first.getsockname()[1] + count)
            if set(ports) & set(ADB_SCANS) or ports[-1] > 65535:
                continue
            try:
                for port in ports[1:]:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return ports[0]
