"""Live devices for the contract: this machine, and a real SSH server on it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openssh import SSHD, Sshd, free_port, make_key, stop_sshd, wait_for_banner

from toolkit.devices.device import Device
from toolkit.devices.local import LocalDevice
from toolkit.devices.ssh import SshDevice


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder and no agent, so that the developer's own keys and configuration play no part."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


@pytest.fixture
def start_sshd(tmp_path: Path, home: Path) -> Iterator[Callable[..., Sshd]]:
    """Starts servers, each with its own host key; the client's key and known_hosts are shared."""
    if SSHD is None:
        pytest.skip("NO SSHD: the ssh transport is NOT tested; apt-get install openssh-server")
    Path("/run/sshd").mkdir(exist_ok=True) if os.getuid() == 0 else None
    identity = make_key(tmp_path / "id_ed25519")
    known_hosts = tmp_path / "known_hosts"
    servers: list[subprocess.Popen[bytes]] = []

    def start(port: int = 0, *, known: bool = True, sftp: bool = True) -> Sshd:
        folder = tmp_path / f"sshd-{len(servers)}"
        folder.mkdir()
        host_key = make_key(folder / "host_key")
        port = port or free_port()
        config = folder / "sshd_config"
        lines = (
            f"Port {port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {host_key}",
            f"AuthorizedKeysFile {identity}.pub",
            f"PidFile {folder / 'pid'}",
            "UsePAM no",
            "StrictModes no",
            "PasswordAuthentication no",
            f"SetEnv HOME={home}",
            f"Subsystem sftp {f'internal-sftp -d {home}' if sftp else '/no/such/program'}",
        )
        config.write_text("\n".join(lines) + "\n")
        process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", config], stderr=(folder / "log").open("wb"))
        servers.append(process)
        wait_for_banner(port, process, folder / "log")
        if known:
            key = host_key.with_suffix(".pub").read_text()
            known_hosts.write_text(f"[127.0.0.1]:{port} {key}")
        return Sshd(port, identity, known_hosts, config, process)

    yield start
    for process in servers:
        stop_sshd(process)


@pytest.fixture
def sshd(start_sshd: Callable[..., Sshd]) -> Sshd:
    """A running server that the client knows and that lets it in."""
    return start_sshd()


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
