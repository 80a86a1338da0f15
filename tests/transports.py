"""The transports that the contract is checked for.

A transport joins with one entry here and the fixture of that name, which yields a connected Device, in
`devices/conftest.py`. Those that need the emulated board carry the mark `board`.
"""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Transport:
    """What the contract may ask of one transport, so that a slow line is not tested for its speed.

    `timeout_s` is long enough to start a few processes on a board that is not busy. `scratch` is a folder on the board,
    as its shell writes it, where the tests may make theirs.
    """

    fixture: str
    large_bytes: int = 20_000_000
    timeout_s: float = 1.0
    scratch: str = "~"
    stderr_apart: bool = True


TRANSPORTS = [
    pytest.param(Transport("local"), id="local"),
    pytest.param(Transport("framed"), id="framed-local"),
    pytest.param(Transport("framed_serial", large_bytes=5_000_000), id="framed-serial"),
    pytest.param(Transport("framed_ssh"), id="framed-ssh"),
    pytest.param(Transport("serial", large_bytes=5_000_000), id="serial"),
    pytest.param(Transport("ssh"), id="ssh"),
    pytest.param(Transport("ssh_shell"), id="ssh-shell"),
    pytest.param(Transport("board_adb", timeout_s=5.0), id="board-adb", marks=pytest.mark.board),
    pytest.param(
        Transport("board_serial", large_bytes=300_000, timeout_s=5.0),
        id="board-serial",
        marks=pytest.mark.board,
    ),
    pytest.param(Transport("board_ssh", timeout_s=5.0), id="board-ssh", marks=pytest.mark.board),
]
