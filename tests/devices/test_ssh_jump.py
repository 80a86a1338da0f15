"""By way of jump hosts: two real servers, the first of which forwards to the second. Each host's key is verified."""

import getpass
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from openssh import Sshd, free_port, kill_sessions, known_hosts_line, make_key, stop_sshd

from toolkit.devices.ssh import SshDevice
from toolkit.devices.ssh.address import address_of
from toolkit.errors import BoardError
from toolkit.targets import Target

USER = getpass.getuser()
StartSshd = Callable[..., Sshd]


@pytest.fixture
def config(home: Path) -> Path:
    """The user's own ssh_config, empty."""
    (home / ".ssh").mkdir()
    return home / ".ssh" / "config"


@pytest.fixture
def hop(start_sshd: StartSshd, config: Path) -> Sshd:
    """The jump host, known and with a key, as the user's files say."""
    server = start_sshd()
    (config.parent / "known_hosts").write_text(known_hosts_line(server))
    (config.parent / "id_ed25519").write_bytes(server.identity.read_bytes())
    return server


@pytest.fixture
def board(hop: Sshd, start_sshd: StartSshd) -> Sshd:
    """The host behind it."""
    return start_sshd()


def through(board: Sshd, jump: str) -> Target:
    return board.target(proxy_jump=jump)


def refused(target: Target) -> BoardError:
    with pytest.raises(BoardError) as caught:
        SshDevice(target)
    assert len(str(caught.value).splitlines()) == 2
    return caught.value


def logins(server: Sshd) -> int:
    """How many the server has let in."""
    return (server.config.parent / "log").read_text().count("Accepted publickey")


def test_a_board_behind_a_jump_host(board: Sshd, hop: Sshd, tmp_path: Path, home: Path) -> None:
    device = SshDevice(through(board, f"{USER}@127.0.0.1:{hop.port}"))
    assert (logins(hop), logins(board)) == (1, 1)
    data = os.urandom(3_000_000)
    (tmp_path / "sent").write_bytes(data)
    device.push(tmp_path / "sent", "~/file")
    assert (home / "file").read_bytes() == data
    device.close()


def test_two_hops_in_order(board: Sshd, hop: Sshd, start_sshd: StartSshd, config: Path) -> None:
    second = start_sshd()
    (config.parent / "known_hosts").write_text(known_hosts_line(hop) + known_hosts_line(second))
    board.known_hosts.write_text(known_hosts_line(board))
    SshDevice(through(board, f"127.0.0.1:{hop.port}, ssh://{USER}@127.0.0.1:{second.port}")).close()
    assert (logins(hop), logins(second), logins(board)) == (1, 1, 1)


def test_ssh_config_names_the_jump_host_its_key_and_its_known_hosts(board: Sshd, hop: Sshd, config: Path) -> None:
    (config.parent / "known_hosts").rename(config.parent / "known_here")
    (config.parent / "id_ed25519").rename(config.parent / "key of bastion")
    config.write_text(
        f"""Host bastion
  HostName 127.0.0.1
  Port {hop.port}
  User {USER}
  IdentityFile "~/.ssh/key of bastion"
  UserKnownHostsFile {config.parent}/known_elsewhere {config.parent}/known_here
  ProxyJump none
Host *
  ProxyJump bastion
""".replace("bastion", "bastion")
    )
    SshDevice(board.target()).close()
    assert (logins(hop), logins(board)) == (1, 1)
    SshDevice(board.target(proxy_jump="none")).close()
    assert (logins(hop), logins(board)) == (1, 2)


def test_the_first_hop_may_have_a_jump_host_of_its_own(
    board: Sshd, hop: Sshd, start_sshd: StartSshd, config: Path
) -> None:
    second = start_sshd()
    board.known_hosts.write_text(known_hosts_line(board))
    (config.parent / "known_hosts").write_text(known_hosts_line(hop) + known_hosts_line(second, "inner"))
    config.write_text(
        f"Host inner\n HostName 127.0.0.1\n Port {second.port}\n HostKeyAlias inner\n ProxyJump 127.0.0.1:{hop.port}\n"
    )
    SshDevice(through(board, "inner")).close()
    assert (logins(hop), logins(second), logins(board)) == (1, 1, 1)


def test_jump_hosts_in_a_circle(board: Sshd, config: Path) -> None:
    config.write_text("Host *\n ProxyJump bastion\n")
    error = refused(board.target())
    assert "loop" in error.what
    assert "bastion" in str(error.where)
    config.write_text("Host bastion\n ProxyJump other\nHost other\n ProxyJump bastion\n")
    error = refused(board.target(proxy_jump="bastion"))
    assert "circle: 127.0.0.1 -> bastion -> other -> bastion" in error.what
    assert "`ProxyJump none`" in str(error.next)


@pytest.mark.parametrize("jump", ["", "@", "user@", "a b", "host:port", "host:22,", "-v"])
def test_a_jump_that_names_no_host(sshd: Sshd, jump: str) -> None:
    if jump == "":
        SshDevice(through(sshd, jump)).close()
    else:
        assert "names no jump host" in refused(through(sshd, jump)).what


def test_an_unknown_jump_host_is_refused_and_what_is_printed_mends_it(board: Sshd, hop: Sshd, config: Path) -> None:
    (config.parent / "known_hosts").unlink()
    target = through(board, f"127.0.0.1:{hop.port}")
    error = refused(target)
    assert error.what.startswith("unknown host key SHA256:")
    assert "its jump host" in str(error.where)
    assert (logins(hop), logins(board)) == (0, 0)
    subprocess.run(str(error.next).split("`")[-2], shell=True, check=True, capture_output=True)
    SshDevice(target).close()


def test_an_unknown_board_behind_a_known_jump_host(board: Sshd, hop: Sshd, tmp_path: Path) -> None:
    target = board.target(proxy_jump=f"127.0.0.1:{hop.port}", known_hosts_file=str(tmp_path / "none yet"))
    error = refused(target)
    assert error.what.startswith("unknown host key SHA256:")
    assert "jump host" not in str(error.where)
    command = str(error.next).split("`")[-2]
    assert f"-J {USER}@127.0.0.1:{hop.port} " in command
    assert (logins(hop), logins(board)) == (1, 0)


def test_a_jump_host_whose_key_changed(board: Sshd, hop: Sshd, config: Path) -> None:
    (config.parent / "known_hosts").write_text(known_hosts_line(board, f"[127.0.0.1]:{hop.port}"))
    error = refused(through(board, f"127.0.0.1:{hop.port}"))
    assert error.what.startswith("THE HOST KEY CHANGED")
    assert logins(board) == 0


def test_a_key_that_the_jump_host_refuses(board: Sshd, hop: Sshd, config: Path) -> None:
    (config.parent / "id_ed25519").unlink()
    other = make_key(config.parent / "id_ed25519")
    error = refused(through(board, f"127.0.0.1:{hop.port}"))
    assert error.what == f"the board refuses user '{USER}' with {other}".replace("the board", "the jump host")
    assert "its jump host" in str(error.where)


def test_a_jump_host_that_cannot_be_reached(board: Sshd, hop: Sshd) -> None:
    error = refused(through(board, f"127.0.0.1:{free_port()}"))
    assert error.what == "cannot reach the jump host: Connection refused"
    assert "its jump host" in str(error.where)


def test_a_board_that_the_jump_host_cannot_reach(board: Sshd, hop: Sshd) -> None:
    stop_sshd(board.process)
    error = refused(through(board, f"127.0.0.1:{hop.port}"))
    assert error.what == "cannot be reached from its jump host: connect failed"
    assert f"ssh -J {USER}@127.0.0.1:{hop.port} " in str(error.next)


def test_a_jump_host_that_dies_ends_the_call_and_the_next_one_goes_by_it_again(board: Sshd, hop: Sshd) -> None:
    device = SshDevice(through(board, f"127.0.0.1:{hop.port}"))
    with pytest.raises(BoardError, match="connection was lost while running"):
        device.run("echo go; sleep 5", on_line=lambda _: kill_sessions(hop))
    assert device.run("echo back").stdout == b"back\n"
    assert (logins(hop), logins(board)) == (2, 2)
    device.close()


def test_a_host_key_alias_names_the_key_of_a_board(board: Sshd, config: Path, hop: Sshd) -> None:
    board.known_hosts.write_text(known_hosts_line(board, "desk-board"))
    config.write_text("Host 127.0.0.1\n HostKeyAlias desk-board\n")
    assert address_of(board.target()).known_as == "desk-board"
    SshDevice(board.target()).close()
