"""ssh's own configuration decides what a target leaves open: the real `ssh -G`, and servers reached as it says."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from boards import board_at
from hypothesis import given
from hypothesis import strategies as st
from openssh import Sshd, known_hosts_line

from toolkit.devices.ssh import SshDevice
from toolkit.devices.ssh.address import address_of
from toolkit.devices.ssh.settings import parse_settings, settings_of
from toolkit.errors import BoardError
from toolkit.targets import Target

USER = getpass.getuser()
needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="NO SSH: `ssh -G` is NOT tested; openssh-client")


@pytest.fixture
def config(home: Path) -> Path:
    """The user's own ssh_config, empty."""
    (home / ".ssh").mkdir()
    return home / ".ssh" / "config"


@pytest.fixture
def no_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without OpenSSH's client."""
    monkeypatch.setenv("PATH", "/nonexistent")


def named_board() -> Target:
    """One that names its host and nothing else."""
    return board_at({"transport": "ssh", "host": "board"}, "test-board")


@needs_ssh
def test_include_and_match_are_followed(sshd: Sshd, config: Path) -> None:
    (config.parent / "boards").write_text("Host board\n HostName 127.0.0.1\n")
    config.write_text(
        f"Include {config.parent}/boards\n"
        f"Match originalhost board exec true\n Port {sshd.port}\n User {USER}\n IdentityFile {sshd.identity}\n"
        f"Match all\n UserKnownHostsFile {sshd.known_hosts}\n IdentitiesOnly yes\n HashKnownHosts yes\n"
    )
    address = address_of(named_board())
    assert (address.host, address.port, address.user) == ("127.0.0.1", sshd.port, USER)
    assert address.identity_files == (sshd.identity,)
    assert address.known_hosts[0] == sshd.known_hosts
    assert address.identities_only
    assert address.hash_known_hosts
    device = SshDevice(named_board())
    assert device.run("echo in").stdout == b"in\n"
    device.close()


@needs_ssh
def test_what_is_asked_for_wins_over_the_configuration(config: Path) -> None:
    config.write_text("Match user other\n IdentityFile ~/.ssh/for_%r_at_%h\nHost *\n User nobody\n Port 9\n")
    found = settings_of("board", "other", 22)
    assert (found.user, found.port) == ("other", 22)
    assert found.identity_files == (config.parent / "for_other_at_board",)
    found = settings_of("board", None, None)
    assert (found.user, found.port, found.identity_files) == ("nobody", 9, ())


@needs_ssh
def test_a_proxy_command_leads_to_the_board(sshd: Sshd, config: Path, tmp_path: Path) -> None:
    relay = "import os,socket,sys,threading as t; s=socket.create_connection(sys.argv[1:]); " + (
        "t.Thread(target=lambda:[os.write(1,b) for b in iter(lambda:s.recv(9999),b'')],daemon=True).start(); "
        "[s.sendall(b) for b in iter(lambda:os.read(0,9999),b'')]"
    )
    script = tmp_path / "relay.py"
    script.write_text(relay)
    config.write_text(
        f"Host board\n ProxyCommand python3 {script} 127.0.0.1 %p\n Port {sshd.port}\n HostKeyAlias board\n"
        f" IdentityFile {sshd.identity}\n UserKnownHostsFile {sshd.known_hosts}\n"
    )
    sshd.known_hosts.write_text(known_hosts_line(sshd, "board"))
    device = SshDevice(named_board())
    data = os.urandom(1_000_000)
    (tmp_path / "sent").write_bytes(data)
    device.push(tmp_path / "sent", "~/file")
    device.pull("~/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    device.close()


@needs_ssh
@pytest.mark.parametrize("command", ["no-such-program --flag", "sh -c 'echo broken >&2'", "cat /nonexistent"])
def test_a_proxy_command_that_fails_is_quoted(sshd: Sshd, config: Path, command: str) -> None:
    config.write_text(f"Host board\n ProxyCommand {command}\n")
    with pytest.raises(BoardError, match="ProxyCommand") as caught:
        SshDevice(named_board())
    assert "board" in str(caught.value.where)


@needs_ssh
def test_a_proxy_command_that_hands_over_a_socket_is_refused(config: Path) -> None:
    config.write_text("Host board\n ProxyCommand nc -F %h %p\n ProxyUseFdpass yes\n")
    with pytest.raises(BoardError, match="ProxyUseFdpass") as caught:
        address_of(named_board())
    assert "board" in str(caught.value.where)


@needs_ssh
def test_known_hosts_that_forget_at_once_are_not_what_a_key_is_written_to(
    start_sshd: Callable[..., Sshd], config: Path
) -> None:
    sshd = start_sshd(known=False)
    config.write_text(
        f"Host board\n HostName 127.0.0.1\n Port {sshd.port}\n UserKnownHostsFile /dev/null\n"
        f" StrictHostKeyChecking no\n IdentityFile {sshd.identity}\n"
    )
    with pytest.raises(BoardError, match="unknown host key") as caught:
        SshDevice(named_board())
    assert "/dev/null" not in str(caught.value.next)
    command = str(caught.value.next).split("`")[-2]
    subprocess.run(command, shell=True, check=True, capture_output=True)
    SshDevice(named_board()).close()


@needs_ssh
def test_a_configuration_that_ssh_refuses_is_named_with_its_line(sshd: Sshd, config: Path) -> None:
    config.write_text("Host board\n Port none\n")
    with pytest.raises(BoardError, match="line 2") as caught:
        SshDevice(named_board())
    assert caught.value.where == str(config)


def test_without_ssh_the_users_own_file_is_read(sshd: Sshd, config: Path, no_ssh: None) -> None:
    config.write_text(
        f"Host board\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.identity}\n"
        f' UserKnownHostsFile "{sshd.known_hosts}"\n'
    )
    SshDevice(named_board()).close()


def test_without_ssh_included_files_are_refused_rather_than_ignored(sshd: Sshd, config: Path, no_ssh: None) -> None:
    config.write_text("Include other\n")
    with pytest.raises(BoardError, match="includes") as caught:
        SshDevice(named_board())
    assert caught.value.where == str(config)
    assert "openssh-client" in str(caught.value.next)


_WORDS = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(st.from_regex(r"[a-z]+", fullmatch=True), _WORDS.filter(lambda word: word.strip()))))
def test_every_value_of_a_keyword_is_kept_in_order(lines: list[tuple[str, str]]) -> None:
    found = parse_settings("".join(f"{key} {value}\n" for key, value in lines))
    for key in {key for key, _ in lines}:
        assert found[key] == [value for each, value in lines if each == key]


@given(st.text())
def test_any_answer_of_ssh_can_be_parsed(text: str) -> None:
    assert all(values for values in parse_settings(text).values())
