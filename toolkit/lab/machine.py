"""Power an emulated board on and off, and tell whether it runs."""

import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from toolkit.errors import BadInput, BoardError
from toolkit.lab.board import LOCK, Board, board_folder
from toolkit.lab.image import board_image
from toolkit.lab.keys import ensure_keys
from toolkit.lab.qemu import read_board, serial_port, start
from toolkit.lab.ssh_banner import wait_for_banner
from toolkit.lab.tools import TO_BOOT, require
from toolkit.targets import Connection, load_target

EMULATED = ("emulated-pi",)
STOP_TIMEOUT_S = 10.0
PORT_TIMEOUT_S = 2.0  # a QEMU that was just killed gives up its ports a moment after its name


def up(name: str, *, on_step: Callable[[str], None]) -> Board:
    """The board of that name, booted until its sshd answers; a board that already runs is left as it is.

    It outlives this process. Its disk is as new whenever it is powered on. `on_step` hears what is being
    done. Raises BadInput for a name that is no emulated board, BoardUnavailable if this machine cannot build
    or run it, BoardError if it does not come up or a port that it needs is taken.
    """
    connection = _emulated(name)
    with _locked(name, on_step):
        board = status(name)
        if board is None:
            require(TO_BOOT)
            for port in (connection.port, serial_port(connection.port)):
                require_free(port, name)
            image = board_image(on_step)
            on_step(f"Booting {name}")
            folder = board_folder(name)
            ensure_keys(folder, connection.host or "127.0.0.1", connection.port)
            board = start(name, folder, connection.port, image)
        elif board.ssh_port != connection.port:
            raise BoardError(
                f"{name} runs with SSH on port {board.ssh_port}, but its target file says {connection.port}",
                next=f"`deploy lab down {name}`, then bring it up again.",
            )
        on_step(f"Waiting for the SSH server of {name}")
        wait_for_banner(board, is_on=lambda: status(name) == board)
    return board


def down(name: str) -> bool:
    """Cut the board's power. False if it was not running.

    Raises BadInput for a name that is no emulated board, BoardError if its process does not end.
    """
    _emulated(name)
    with _locked(name, lambda _: None):
        board = status(name)
        if board is None:
            return False
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(board.pid, number)
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while status(name) and time.monotonic() < deadline:
                time.sleep(0.05)
            if status(name) is None:
                return True
    raise BoardError(f"{name} does not end", where=f"process {board.pid}", next=f"kill -9 {board.pid}")


def status(name: str) -> Board | None:
    """The board if it is powered on, booted or not. Raises BadInput for a name that is no emulated board."""
    _emulated(name)
    return read_board(name, board_folder(name))


def require_free(port: int, name: str) -> None:
    """Raises BoardError if another program goes on listening on that port of 127.0.0.1."""
    deadline = time.monotonic() + PORT_TIMEOUT_S
    while not _is_free(port):
        if time.monotonic() > deadline:
            raise BoardError(
                f"port {port} of 127.0.0.1 is used by another program, and {name} needs it",
                next=f"`ss -ltnp 'sport = :{port}'` names it; or change the port in targets/{name}.toml.",
            )
        time.sleep(0.05)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # else the remains of closed connections would count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _emulated(name: str) -> Connection:
    connection = load_target(name).connection
    if name not in EMULATED:
        raise BadInput(f"'{name}' is not an emulated board", next=f"The lab has: {', '.join(EMULATED)}.")
    return connection


@contextmanager
def _locked(name: str, on_step: Callable[[str], None]) -> Iterator[None]:
    with (board_folder(name) / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_step(f"Waiting for another process that is starting or stopping {name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
