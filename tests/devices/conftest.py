"""Live devices for the contract: this machine, and a real SSH server on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openssh import Sshd

from toolkit.devices.device import Device
from toolkit.devices.local import LocalDevice
from toolkit.devices.ssh import SshDevice


@pytest.fixture
def ssh(sshd: Sshd) -> Iterator[SshDevice]:
    """A device connected to that server."""
    device = SshDevice(sshd.target())
    yield device
    device.close()


@pytest.fixture(params=["local", "ssh"])
def device(request: pytest.FixtureRequest, home: Path) -> Iterator[Device]:
    """Every transport that needs no hardware."""
    if request.param == "ssh":
        yield request.getfixturevalue("ssh")
    else:
        yield LocalDevice()
