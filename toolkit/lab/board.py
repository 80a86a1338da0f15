"""An emulated board: the machine that it is, on or off, and what is known of it while it runs."""

from dataclasses import dataclass
from pathlib import Path

from toolkit.targets import EmulatedCpu


@dataclass(frozen=True)
class Machine:
    """One emulated arm64 machine, on or off.

    Without `keep_disk` its disk is as new at every power-on. With it, what reached the disk stays there: a
    power cut loses only what the board had not synced. `folder` is its own: keys, disk, logs, ports, pidfile.
    """

    name: str
    folder: Path
    keep_disk: bool = False
    cpu: EmulatedCpu = "cortex-a72"


@dataclass(frozen=True)
class Board:
    """A machine that is powered on, booted or not: one QEMU process. All ports listen on 127.0.0.1 only.

    `ssh_port` leads to the board's sshd. `serial_port` is its console UART as a raw TCP stream with a login
    prompt on it (pyserial opens it as `socket://127.0.0.1:PORT`), for one client at a time. `adb_port` leads to
    its adbd, which asks nobody who they are.
    """

    name: str
    pid: int
    ssh_port: int
    serial_port: int
    adb_port: int
    folder: Path
    keeps_disk: bool
    cpu: str

    @property
    def identity_file(self) -> Path:
        """The private key that logs in as root."""
        return self.folder / IDENTITY

    @property
    def known_hosts_file(self) -> Path:
        """The board's host key, known before its first boot: nothing is trusted on first use."""
        return self.folder / KNOWN_HOSTS

    @property
    def password_file(self) -> Path:
        """Root's password, on the console and over SSH."""
        return self.folder / PASSWORD

    @property
    def console_log(self) -> Path:
        """Everything the console printed since power-on."""
        return self.folder / CONSOLE_LOG


# Names inside a machine's folder
IDENTITY = "id_ed25519"
KNOWN_HOSTS = "known_hosts"
PASSWORD = "password"
HOST_KEY = "ssh_host_ed25519_key"
INITRD = "initrd.gz"
DISK = "disk.qcow2"
PIDFILE = "pid"
PORTS = "ports.json"
LOCK = "lock"
CONSOLE_LOG = "console.log"
SCRATCH = "scratch"
