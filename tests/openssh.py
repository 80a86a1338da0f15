"""A real OpenSSH server of the tests' own, as the current user, on a free loopback port."""

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from boards import board_at
from tools import need

from toolkit.targets import Target

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


# What a target's file says of a server of these tests.
PLACE = """
[place]
transport = "ssh"
host = "127.0.0.1"
port = {port}
identity_file = "{identity}"
known_hosts_file = "{known_hosts}"
"""


@dataclass(frozen=True)
class Sshd:
    """A running server: where it is, and the files that let a client in."""

    port: int
    identity: Path
    known_hosts: Path
    config: Path
    process: subprocess.Popen[bytes]

    def target(self, **place: object) -> Target:
        """A target for this server; `place` overrides its fields."""
        fields = {
            "transport": "ssh",
            "host": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "identity_file": str(self.identity),
            "known_hosts_file": str(self.known_hosts),
        }
        return board_at(fields | place, "test-board")


def with_login_shell(shell: str, folder: Path, command: list[str]) -> list[str]:
    """The command where the current user's login shell is that one: in a mount namespace with a passwd of its own."""
    me = pwd.getpwuid(os.getuid())
    passwd = folder / "passwd"
    lines = (line.split(":") for line in Path("/etc/passwd").read_text().splitlines())
    own = (":".join([*fields[:6], shell] if fields[0] == me.pw_name else fields) for fields in lines)
    passwd.write_text("\n".join(own) + "\n")
    inside = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', str(passwd)]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("NO MOUNT PERMITTED: other login shells are NOT tested")
    return [*inside, *command]


def make_key(path: Path) -> Path:
    """A fresh key pair."""
    need("ssh-keygen", "openssh-client", "what takes a key of it is")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def stop_sshd(process: subprocess.Popen[bytes]) -> None:
    """Kill the server and, as a power cut would, the sessions it has forked."""
    if process.poll() is not None:  # its id may be another process's by now
        return
    family = [process.pid, *_descendants(process.pid)]
    for pid in family:  # servers before their commands, whose end they would still report
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def kill_sessions(server: Sshd) -> None:
    """End every connection that is open, as a broken line would; the server goes on taking new ones."""
    for pid in _descendants(server.process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def freeze_sessions(server: Sshd) -> list[int]:
    """Stop every connection that is open, as a board that hangs would; it stays open. Returns what to `thaw`."""
    frozen = _descendants(server.process.pid)
    for pid in frozen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    return frozen


def thaw(frozen: list[int]) -> None:
    """Let them go on, to find that nobody listens any more."""
    for pid in frozen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def known_hosts_line(server: Sshd, name: str = "") -> str:
    """The server's line for a known_hosts file."""
    key = (server.config.parent / "host_key.pub").read_text()
    return f"{name or f'[127.0.0.1]:{server.port}'} {key}"


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it ended before it was opened, or before it was read
        return []
    return [found for child in children for found in (child, *_descendants(child))]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_banner(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as link:
            if link.recv(4) == b"SSH-":
                return
        time.sleep(0.02)
    pytest.fail(f"sshd did not start: {log.read_text()}")
