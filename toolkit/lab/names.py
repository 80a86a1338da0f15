"""The lab by the names of targets: several targets may be ways to one emulated machine."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from toolkit.cache import cache_folder
from toolkit.errors import BadInput, BoardError
from toolkit.lab.board import Board, Machine
from toolkit.lab.power import power_cut, power_off, power_on, running
from toolkit.targets import (
    AdbPlace,
    EmulatedCpu,
    LabPlace,
    Place,
    SerialPlace,
    SshPlace,
    Target,
    load_target,
    read_entry,
    target_files,
)

_HERE = "127.0.0.1"


def up(name: str, *, on_step: Callable[[str], None], keep_disk: bool = False, cpu: EmulatedCpu | None = None) -> Board:
    """The machine behind that target, booted until its sshd answers; see `power_on`.

    It has the target's CPU unless another is asked for. Raises BadInput for a target that is no emulated board,
    BoardUnavailable, BoardError, also if it runs with another CPU than was asked for.
    """
    target = load_target(name)
    machine = replace(_machine(target), keep_disk=keep_disk, cpu=cpu or _lab_place(target).cpu)
    board = power_on(machine, on_step=on_step)
    if cpu not in (None, board.cpu):
        raise BoardError(
            f"{machine.name} already runs, as a {board.cpu}",
            next=f"`deploy lab down {machine.name}`, then bring it up again.",
        )
    return board


def down(name: str) -> bool:
    """Switch off the machine behind that target. False if it was off. Raises BadInput, BoardError."""
    return power_off(_machine(load_target(name)))


def cut(name: str) -> bool:
    """Pull the plug of the machine behind that target. False if it was off. Raises BadInput, BoardError."""
    return power_cut(_machine(load_target(name)))


def status(name: str) -> Board | None:
    """The machine behind that target if it is on, booted or not. Raises BadInput."""
    return running(_machine(load_target(name)))


def reached(target: Target) -> Target:
    """An emulated target at its present address on this machine. Raises BoardError if the board is off."""
    board = running(_machine(target))
    if board is None:
        raise BoardError(
            "the emulated board is off",
            where=f"target {target.name}",
            next=f"Start it: `deploy lab up {target.name}`.",
        )
    return at(board, target)


def target_on(board: Board, name: str) -> Target:
    """The target of that name as a way to this very board. Raises BadInput."""
    return at(board, load_target(name))


def at(board: Board, target: Target) -> Target:
    """An emulated target at this very board: its ports, keys and password."""
    way = _lab_place(target).by
    place: Place
    if way == "ssh":
        place = SshPlace(
            host=_HERE,
            port=board.ssh_port,
            user="root",
            identity_file=str(board.identity_file),
            known_hosts_file=str(board.known_hosts_file),
        )
    elif way == "adb":
        place = AdbPlace(serial=f"{_HERE}:{board.adb_port}")
    else:
        device = f"socket://{_HERE}:{board.serial_port}"
        place = SerialPlace(device=device, user="root", password_file=str(board.password_file))
    return target.model_copy(update={"place": place})


def _machine(target: Target) -> Machine:
    name = _lab_place(target).machine
    return Machine(name, cache_folder() / "lab" / name)


def _lab_place(target: Target) -> LabPlace:
    if not isinstance(target.place, LabPlace):
        raise BadInput(f"'{target.name}' is not an emulated board", next=f"The lab has: {', '.join(_emulated())}.")
    return target.place


def _emulated() -> list[str]:
    names = []
    for name, file in target_files().items():
        with suppress(BadInput):  # a broken file is the business of whoever asks for that target
            if isinstance(read_entry(file).place, LabPlace):
                names.append(name)
    return names
