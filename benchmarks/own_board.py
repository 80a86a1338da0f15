"""An emulated board that nobody else works on: its clock counts instructions, whoever runs them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit import lab
from toolkit.cache import cache_folder
from toolkit.targets import EmulatedCpu, LabPlace, Target, load_target


@contextmanager
def own_board(name: str) -> Iterator[Target]:
    """The target of that name; an emulated one on a machine of its own."""
    target = load_target(name)
    if not isinstance(target.place, LabPlace):
        yield target
        return
    with own_machine(target.place.cpu) as board:
        yield lab.target_on(board, name)


@contextmanager
def own_machine(cpu: EmulatedCpu = "cortex-a72") -> Iterator[lab.Board]:
    """A machine of its own, switched off at the end."""
    with tempfile.TemporaryDirectory(prefix="board-", dir=machines_folder()) as folder:
        machine = lab.Machine("benchmark", Path(folder), cpu=cpu)
        board = lab.power_on(machine, on_step=print)
        try:
            yield board
        finally:
            lab.power_off(machine)


def machines_folder() -> Path:
    """Where machines are kept; not /tmp, which may be memory."""
    folder = cache_folder() / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
