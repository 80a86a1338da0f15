"""Whether a process on a board has ended."""

import shlex
import time

import pytest

from toolkit.devices.device import Device


def assert_gone(device: Device, pid_file: str) -> None:
    """Not running; a zombie that nobody has reaped yet counts as gone."""
    pid = int(device.run(f"cat {shlex.quote(pid_file)}").stdout)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        runs = f"kill -0 {pid} 2>/dev/null && ! grep -q '^State:.Z' /proc/{pid}/status"
        if device.run(runs).status != 0:
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} still runs")
