"""An emulated board that nobody else works on: its clock counts instructions, whoever runs them."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_ports
from toolkit import lab
from toolkit.cache import cache_folder
from toolkit.targets import Target, load_target


@contextmanager
def own_board(name: str) -> Iterator[Target]:
    """The target of that name; an emulated one on a machine of its own, switched off at the end."""
    target = load_target(name)
    if target.lab is None:
        yield target
        return
    machine = lab.Machine(f"{name}-benchmark", cache_folder() / "lab" / f"{name}-benchmark", free_ports())
    board = lab.power_on(machine, on_step=print)
    try:
        yield lab.target_on(board, name)
    finally:
        lab.power_off(machine)
