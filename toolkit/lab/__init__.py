"""Emulated boards, for people and CI without hardware: a full arm64 machine, its sshd and its console."""

from toolkit.lab.board import Board
from toolkit.lab.machine import down, status, up
from toolkit.lab.unavailable import BoardUnavailable

__all__ = ["Board", "BoardUnavailable", "down", "status", "up"]
