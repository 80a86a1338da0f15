"""The native agent for ExecuTorch programs: built on this machine, for this or another."""

from toolkit.devices.native.build import build_runner, runner_command

__all__ = ["build_runner", "runner_command"]
