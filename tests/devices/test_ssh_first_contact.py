"""The first meeting with a board: its key is shown and kept here, ours is installed there, nobody's files are lost."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from openssh import Sshd, free_port, make_key, stop_sshd

from toolkit.devices.ssh import SshDevice, accept_host_key, install_public_key, offered_host_key, public_keys
from toolkit.errors import BadInput, BoardError

StartSshd = Callable[..., Sshd]


def test_a_key_is_shown_then_kept_then_known(start_sshd: StartSshd, tmp_path: Path) -> None:
    sshd = start_sshd(known=False)
    file = tmp_path / "new folder" / "known_hosts"
    target = sshd.target(known_hosts_file=str(file))
    key = offered_host_key(target)
    listed = subprocess.run(["ssh-keygen", "-lf", sshd.config.parent / "host_key.pub"], capture_output=True, text=True)
    assert listed.stdout.split()[1] == key.fingerprint
    assert (key.kind, key.is_known) == ("ssh-ed25519", False)
    with pytest.raises(BoardError, match="unknown host key"):
        SshDevice(target)
    assert accept_host_key(target, key) == file
    assert offered_host_key(target).is_known
    SshDevice(target).close()


def test_what_a_known_hosts_file_holds_stays(start_sshd: StartSshd) -> None:
    sshd = start_sshd(known=False)
    sshd.known_hosts.write_text("# mine, without a newline")
    accept_host_key(sshd.target(), offered_host_key(sshd.target()))
    first, second = sshd.known_hosts.read_text().splitlines()
    assert first == "# mine, without a newline"
    assert second.startswith(f"[127.0.0.1]:{sshd.port} ssh-ed25519 ")


def test_names_are_hashed_where_ssh_hashes_them(start_sshd: StartSshd, home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text("Host *\n HashKnownHosts yes\n")
    sshd = start_sshd(known=False)
    accept_host_key(sshd.target(), offered_host_key(sshd.target()))
    assert "127.0.0.1" not in sshd.known_hosts.read_text()
    SshDevice(sshd.target()).close()


def test_a_changed_key_is_never_shown_as_a_new_one(start_sshd: StartSshd) -> None:
    first = start_sshd()
    stop_sshd(first.process)
    second = start_sshd(first.port, known=False)
    with pytest.raises(BoardError, match="CHANGED"):
        offered_host_key(second.target())


def test_nobody_answers(sshd: Sshd) -> None:
    with pytest.raises(BoardError, match="cannot reach"):
        offered_host_key(sshd.target(port=free_port()))


def test_a_key_is_installed_once_and_lets_its_owner_in(start_sshd: StartSshd, home: Path, tmp_path: Path) -> None:
    allowed = home / ".ssh" / "authorized_keys"
    sshd = start_sshd(more=[f"AuthorizedKeysFile {allowed} {tmp_path}/id_ed25519.pub"])
    mine = make_key(tmp_path / "mine")
    device = SshDevice(sshd.target())
    assert install_public_key(device, Path(f"{mine}.pub"), "the board")
    assert allowed.stat().st_mode & 0o777 == 0o600
    allowed.write_text(allowed.read_text() + "ssh-ed25519 AAAA somebody else's")
    assert not install_public_key(device, Path(f"{mine}.pub"), "the board")
    other = make_key(tmp_path / "it's other")
    assert install_public_key(device, Path(f"{other}.pub"), "the board")
    assert [line.split()[0] for line in allowed.read_text().splitlines()] == ["ssh-ed25519"] * 3
    device.close()
    SshDevice(sshd.target(identity_file=str(mine))).close()
    SshDevice(sshd.target(identity_file=str(other))).close()


def test_a_private_key_is_never_sent(sshd: Sshd, ssh: SshDevice, home: Path) -> None:
    with pytest.raises(BadInput, match="no public key"):
        install_public_key(ssh, sshd.identity, "the board")
    assert not (home / ".ssh").exists()


def test_the_public_halves_of_the_keys_that_are_used(sshd: Sshd, home: Path) -> None:
    assert public_keys(sshd.target()) == (Path(f"{sshd.identity}.pub"),)
    assert public_keys(sshd.target(identity_file=None)) == ()
    (home / ".ssh").mkdir()
    make_key(home / ".ssh" / "id_ed25519")
    assert public_keys(sshd.target(identity_file=None)) == (home / ".ssh" / "id_ed25519.pub",)
