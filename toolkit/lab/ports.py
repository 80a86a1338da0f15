"""Ports of 127.0.0.1 that lead to a machine: free ones, and the same again at every power-on while they are free."""

import json
import socket
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from toolkit.lab.board import PORTS

ADB_SCANS = range(5555, 5586)  # every adb server of this machine takes what listens there for a phone's emulator
_LET_GO_S = 2.0  # a QEMU that was just killed gives up its ports a moment after its name


@dataclass(frozen=True)
class Ports:
    """Where the board's sshd, its console and its adbd are reached."""

    ssh: int
    console: int
    adb: int


def take_ports(folder: Path) -> Ports:
    """Those that the machine of this folder had last if all are free, else new ones, which are kept there."""
    kept = _kept(folder)
    if kept and _free_in_time(kept):
        return kept
    ports = _free_ports()
    (folder / PORTS).write_text(json.dumps(asdict(ports)))
    return ports


def forget_ports(folder: Path) -> None:
    """Take others next time."""
    (folder / PORTS).unlink(missing_ok=True)


def is_free(port: int) -> bool:
    """Whether no program listens on that port of 127.0.0.1."""
    with socket.socket() as probe:
        # else the remains of closed connections would count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _kept(folder: Path) -> Ports | None:
    try:
        found = Ports(**json.loads((folder / PORTS).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if all(isinstance(port, int) and 0 < port < 2**16 for port in asdict(found).values()) else None


def _free_in_time(ports: Ports) -> bool:
    deadline = time.monotonic() + _LET_GO_S
    while not all(map(is_free, asdict(ports).values())):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _free_ports() -> Ports:
    with ExitStack() as held:  # all at once, so that they differ
        found: list[int] = []
        while len(found) < 3:
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            if port not in ADB_SCANS:
                found.append(port)
        return Ports(*found)
