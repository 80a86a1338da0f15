"""The command of a ProxyCommand as a line to the server: its stdin and stdout are one socket, as for `ssh` itself.

paramiko's own `ProxyCommand` spins for ever once the command has ended.
"""

import os
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO

_END_S = 2.0


@dataclass(frozen=True)
class Proxy:
    """A running command; `line` leads through it."""

    line: socket.socket
    process: subprocess.Popen[bytes]
    complaints: IO[bytes]

    def close(self) -> None:
        """Hang up, and end the command."""
        self.line.close()
        self.process.terminate()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.complaints.close()

    @property
    def said(self) -> str:
        """The last line of its stderr."""
        self.complaints.seek(0)
        lines = self.complaints.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def start_proxy(command: str) -> Proxy:
    """Run the command with the user's shell. Raises OSError.

    In a session of its own: Ctrl-C must not cut the line over which we clean up on the board.
    """
    near, far = socket.socketpair()
    complaints = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the proxy
    try:
        with far:
            process = subprocess.Popen(
                [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"],
                stdin=far.fileno(),
                stdout=far.fileno(),
                stderr=complaints,
                start_new_session=True,
            )
    except BaseException:
        near.close()
        complaints.close()
        raise
    return Proxy(near, process, complaints)
