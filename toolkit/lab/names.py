"""The lab by the names of targets: several targets may be ways to one emulated machine."""

from collections.abc import Callable
from contextlib import suppress

from toolkit.cache import cache_folder
from toolkit.errors import BadInput, BoardError
from toolkit.lab.board import Board, Machine
from toolkit.lab.power import power_cut, power_off, power_on, running
from toolkit.targets import AdbPlace, SerialPlace, SshPlace, Target, load_target, read_target, target_files


def up(name: str, *, on_step: Callable[[str], None], keep_disk: bool = False) -> Board:
    """The machine behind that target, booted until its sshd answers; see `power_on`.

    Raises BadInput for a target that is no emulated board, BoardUnavailable, BoardError.
    """
    board = power_on(_machine(name, keep_disk), on_step=on_step)
    target = load_target(name)
    runs = target_on(board, name).place
    if str(target.place) != str(runs):
        raise BoardError(
            f"{board.name} answers it on {runs}, but its file says {target.place}",
            where=f"target {name}",
            next=f"Make targets/{name}.toml and targets/{board.name}.toml agree.",
        )
    return board


def down(name: str) -> bool:
    """Switch off the machine behind that target. False if it was off. Raises BadInput, BoardError."""
    return power_off(_machine(name))


def cut(name: str) -> bool:
    """Pull the plug of the machine behind that target. False if it was off. Raises BadInput, BoardError."""
    return power_cut(_machine(name))


def status(name: str) -> Board | None:
    """The machine behind that target if it is on, booted or not. Raises BadInput."""
    return running(_machine(name))


def target_on(board: Board, name: str) -> Target:
    """The target of that name as a way to this very board: its ports, keys and password. Raises BadInput."""
    target = load_target(name)
    match target.place:
        case SshPlace():
            own: dict[str, object] = {
                "port": board.ssh_port,
                "identity_file": str(board.identity_file),
                "known_hosts_file": str(board.known_hosts_file),
            }
        case AdbPlace():
            own = {"serial": f"127.0.0.1:{board.adb_port}"}
        case SerialPlace():
            own = {
                "device": f"socket://127.0.0.1:{board.serial_port}",
                "password_file": str(board.password_file),
            }
        case other:
            raise BadInput(f"no emulated board is reached by {other.transport}", where=f"target {name}")
    return target.model_copy(update={"place": target.place.model_copy(update=own)})


def _machine(name: str, keep_disk: bool = False) -> Machine:
    machine = load_target(name).family.lab
    if machine is None:
        raise BadInput(f"'{name}' is not an emulated board", next=f"The lab has: {', '.join(_emulated())}.")
    place = load_target(machine).place
    assert isinstance(place, SshPlace)
    assert place.port
    return Machine(machine, cache_folder() / "lab" / machine, place.port, keep_disk)


def _emulated() -> list[str]:
    names = []
    for name, file in target_files().items():
        with suppress(BadInput):  # a broken file is the business of whoever asks for that target
            if read_target(file).family.lab:
                names.append(name)
    return names
