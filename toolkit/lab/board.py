"""An emulated board that is running, and where a board keeps its state."""

from dataclasses import dataclass
from pathlib import Path

from toolkit.cache import cache_folder


@dataclass(frozen=True)
class Board:
    """One running QEMU process. Both ports listen on 127.0.0.1 only.

    `ssh_port` leads to the board's sshd. `serial_port` is its console UART as a raw TCP stream with a root
    shell on it (pyserial opens it as `socket://127.0.0.1:PORT`), for one client at a time.
    """

    name: str
    pid: int
    ssh_port: int
    serial_port: int
    folder: Path

    @property
    def identity_file(self) -> Path:
        """The private key that logs in as root."""
        return self.folder / IDENTITY

    @property
    def known_hosts_file(self) -> Path:
        """The board's host key, known before its first boot: nothing is trusted on first use."""
        return self.folder / KNOWN_HOSTS

    @property
    def console_log(self) -> Path:
        """Everything the console printed since power-on."""
        return self.folder / CONSOLE_LOG


# Names inside a board's folder. targets/*.toml names the first two.
IDENTITY = "id_ed25519"
KNOWN_HOSTS = "known_hosts"
HOST_KEY = "ssh_host_ed25519_key"
INITRD = "initrd.gz"
PIDFILE = "pid"
LOCK = "lock"
CONSOLE_LOG = "console.log"
SCRATCH = "scratch"


def board_folder(name: str) -> Path:
    """Where that board's keys, logs and pidfile live; created if absent, closed to other users."""
    folder = cache_folder() / "lab" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
