"""Live devices for the contract: a fixture for each entry of `transports.TRANSPORTS`."""

import secrets
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from adb_client import Adb
from consoles import Console
from openssh import Sshd
from transports import TRANSPORTS, Transport
from workplace import Workplace, bundle, local_home

from toolkit import lab
from toolkit.devices import Home
from toolkit.devices.adb import AdbDevice
from toolkit.devices.device import Device, check
from toolkit.devices.framed import FramedDevice
from toolkit.devices.local import LocalDevice
from toolkit.devices.releases import release
from toolkit.devices.serial import SerialDevice
from toolkit.devices.ssh import SshDevice
from toolkit.errors import BoardError
from toolkit.targets import Target, load_target


@pytest.fixture
def local(home: Path) -> LocalDevice:
    """This machine, with an empty home folder."""
    return LocalDevice()


@pytest.fixture
def served(place: Workplace, tmp_path: Path) -> Iterator[tuple[Home, str, Path]]:
    """Our folder, the digest of the release in service, and the file of what was learned on top of it."""
    home = local_home(place)
    folder, digest = bundle(tmp_path / "bundle")
    release.install(home, folder)
    release.activate(home, digest)
    yield home, digest, place.root / "adapted" / f"{digest}.safetensors"
    assert place.left_behind() == []


@pytest.fixture
def framed(local: LocalDevice) -> FramedDevice:
    """This machine, answering between markers."""
    return FramedDevice(local, "this machine")


@pytest.fixture
def framed_ssh(ssh: SshDevice) -> FramedDevice:
    """A real SSH server on this machine, answering between markers."""
    return FramedDevice(ssh, "the board")


@pytest.fixture(scope="module")
def framed_serial(serial: SerialDevice) -> FramedDevice:
    """A shell on a terminal of this machine, answering between markers."""
    return FramedDevice(serial, "the board")


@pytest.fixture
def ssh(sshd: Sshd) -> Iterator[SshDevice]:
    """A real SSH server on this machine, with an empty home folder."""
    device = SshDevice(sshd.target())
    yield device
    device.close()


@pytest.fixture
def ssh_shell(start_sshd: Callable[..., Sshd]) -> Iterator[SshDevice]:
    """A real SSH server without an SFTP subsystem: files go through its shell."""
    device = SshDevice(start_sshd(sftp=False).target())
    yield device
    device.close()


@pytest.fixture(scope="module")
def board_ssh(emulated_pi: Target) -> Iterator[SshDevice]:
    """The emulated board's own SSH server."""
    device = SshDevice(lab.reached(emulated_pi))
    yield device
    device.close()


@pytest.fixture
def board_adb(emulated_pi: Target, adb: Adb) -> Iterator[AdbDevice]:
    """The emulated board's own adbd."""
    device = AdbDevice(lab.reached(load_target("emulated-android")))
    yield device
    device.close()


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SerialDevice]:
    """A shell on a terminal of this machine, with a home folder of its own; a login takes too long for one a test."""
    console = Console(["/bin/sh", "-i"], tmp_path_factory.mktemp("home"))
    device = SerialDevice(console.target())
    yield device
    device.close()
    console.close()


@pytest.fixture(scope="module")
def board_serial(emulated_pi: Target) -> Iterator[SerialDevice]:
    """The emulated board's own console."""
    device = SerialDevice(lab.reached(load_target("emulated-console")))
    yield device
    device.close()


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> Transport:
    return request.param


@pytest.fixture
def device(request: pytest.FixtureRequest, transport: Transport) -> Device:
    """The same contract holds for each of them."""
    return request.getfixturevalue(transport.fixture)


@pytest.fixture
def there(device: Device, transport: Transport) -> Iterator[str]:
    """A fresh folder on the board with a name that must be quoted; gone afterwards."""
    base = check(device.run(f"cd {transport.scratch} && pwd"), "finding the folder for tests", "the board")
    folder = f"{base.stdout.decode().strip().rstrip('/')}/it's a contract {secrets.token_hex(4)}"
    check(device.run(f"mkdir {shlex.quote(folder)}"), "making the folder for a test", "the board")
    yield folder
    device.run(f"rm -rf {shlex.quote(folder)}")


@pytest.fixture
def small_disk_there(device: Device, there: str) -> Iterator[str]:
    """A file system of 64 kB on the board."""
    folder = f"{there}/small disk"
    try:
        mount = f"mkdir {shlex.quote(folder)} && mount -t tmpfs -o size=64k tmpfs {shlex.quote(folder)}"
        check(device.run(mount), "mounting", "the board")
    except BoardError as error:
        pytest.skip(f"NO MOUNT PERMITTED: a full disk is NOT tested; {error.what}")
    yield folder
    device.run(f"umount {shlex.quote(folder)}")
