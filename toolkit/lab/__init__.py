"""Emulated boards, for people and CI without hardware: a full arm64 machine, its sshd, its adbd and its console."""

from toolkit.lab.board import Board, Machine
from toolkit.lab.names import cut, down, reached, status, target_on, up
from toolkit.lab.power import power_cut, power_off, power_on, running
from toolkit.lab.unavailable import BoardUnavailable

__all__ = [
    "Board",
    "BoardUnavailable",
    "Machine",
    "cut",
    "down",
    "power_cut",
    "power_off",
    "power_on",
    "reached",
    "running",
    "status",
    "target_on",
    "up",
]
