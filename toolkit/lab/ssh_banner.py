"""How one sees that a board has booted: its SSH server greets."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress

from toolkit.errors import BoardError
from toolkit.lab.board import Board

BOOT_TIMEOUT_S = 180.0  # five seconds on an idle core; the rest is for a crowded machine


def wait_for_banner(board: Board, *, is_on: Callable[[], bool]) -> None:
    """Return once the board's SSH server greets.

    Raises BoardError, with the console's last line, if it has not after BOOT_TIMEOUT_S or the power went off.
    """
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while is_on() and time.monotonic() < deadline:
        if _greeting(board.ssh_port).startswith(b"SSH-"):
            return
        time.sleep(0.2)
    what = f"gave no SSH banner in {BOOT_TIMEOUT_S:.0f} s" if is_on() else "went off while booting"
    printed = board.console_log.read_text(errors="replace") if board.console_log.exists() else ""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    raise BoardError(
        f"{board.name} {what}; the last line on its console is: {lines[-1] if lines else '(nothing)'}",
        where=str(board.console_log),
        next=f"Read that log, then `deploy lab down {board.name}` and bring it up again.",
    )


def _greeting(port: int) -> bytes:
    # QEMU accepts at once and connects onwards when it can: only bytes from the board prove that it is there
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2.0) as connection:
        return connection.recv(64)
    return b""
