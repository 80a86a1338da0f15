"""Power a machine on and off, pull its plug, and tell whether it runs."""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

from toolkit.errors import BoardError
from toolkit.lab import qemu
from toolkit.lab.board import DISK, LOCK, Board, Machine
from toolkit.lab.image import Image, board_image
from toolkit.lab.keys import ensure_keys
from toolkit.lab.ports import forget_ports, is_free, take_ports
from toolkit.lab.ssh_banner import wait_for_banner
from toolkit.lab.tools import TO_BOOT, require

STOP_TIMEOUT_S = 10.0


def power_on(machine: Machine, *, on_step: Callable[[str], None]) -> Board:
    """The machine, booted until its sshd answers (its adbd and console do then, too); if it runs, it is left as it is.

    It outlives this process. `on_step` hears what is being done. Raises BoardUnavailable if this machine cannot
    build or run it, BoardError if it does not come up, or runs otherwise.
    """
    with _locked(machine, on_step):
        board = running(machine)
        if board is None:
            require(TO_BOOT)
            image = board_image(on_step)
            if not machine.keep_disk and (machine.folder / DISK).exists():
                on_step(f"Its kept disk stays aside: `deploy lab up {machine.name} --keep-disk` boots that")
            on_step(f"Booting {machine.name}")
            board = _start(machine, image)
        elif machine.keep_disk and not board.keeps_disk:
            raise BoardError(
                f"{machine.name} already runs, with a disk that is not kept",
                next=f"`deploy lab down {machine.name}`, then bring it up again.",
            )
        on_step(f"Waiting for the SSH server of {machine.name}")
        wait_for_banner(board, is_on=lambda: running(machine) == board)
    return board


def power_off(machine: Machine) -> bool:
    """Switch it off; the board is not asked first. False if it was off. Raises BoardError if it does not end."""
    return _end(machine, (signal.SIGTERM, signal.SIGKILL))


def power_cut(machine: Machine) -> bool:
    """Pull the plug: what the board had not flushed to its disk by now is lost. False if it was off."""
    return _end(machine, (signal.SIGKILL,))


def running(machine: Machine) -> Board | None:
    """The board if the machine is on, booted or not."""
    return qemu.read_board(machine.name, machine.folder)


def _start(machine: Machine, image: Image) -> Board:
    """Whoever else looks for free ports at this moment may take one of ours before QEMU does: then on others."""
    for last in (False, False, True):
        ports = take_ports(machine.folder)
        ensure_keys(machine.folder, "127.0.0.1", ports.ssh)
        try:
            return qemu.start(machine, image, ports)
        except BoardError:
            if last or all(map(is_free, asdict(ports).values())):
                raise
            forget_ports(machine.folder)
    raise AssertionError  # the last try has returned or raised


def _end(machine: Machine, signals: tuple[signal.Signals, ...]) -> bool:
    with _locked(machine, lambda _: None):
        board = running(machine)
        if board is None:
            return False
        for number in signals:
            with suppress(ProcessLookupError):
                os.kill(board.pid, number)
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while running(machine) and time.monotonic() < deadline:
                time.sleep(0.02)
            if running(machine) is None:
                return True
    raise BoardError(f"{machine.name} does not end", where=f"process {board.pid}", next=f"kill -9 {board.pid}")


@contextmanager
def _locked(machine: Machine, on_step: Callable[[str], None]) -> Iterator[None]:
    machine.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (machine.folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_step(f"Waiting for another process that is starting or stopping {machine.name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
