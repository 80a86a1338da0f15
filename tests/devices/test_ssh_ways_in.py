"""Each way in that a server may insist on: taken where it can be, else named with what helps."""

import base64
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asking_sshd import asking_sshd
from gone import assert_gone
from openssh import Sshd
from terminal import on_a_terminal

from toolkit.devices.ssh import SshDevice
from toolkit.errors import BoardError

StartSshd = Callable[..., Sshd]
TWO_QUESTIONS = [("Password: ", "secret"), ("Verification code: ", "123456")]


def refused(server: Sshd, **connection: object) -> BoardError:
    with pytest.raises(BoardError) as caught:
        SshDevice(server.target(**connection))
    assert len(str(caught.value).splitlines()) == 2
    assert str(caught.value.where).startswith("target test-board")
    return caught.value


def locked_key(sshd: Sshd, folder: Path) -> Path:
    """The key that the server lets in, locked by the passphrase 'open it'."""
    key = folder / "locked"
    key.write_bytes(sshd.identity.read_bytes())
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open it", "-f", key], check=True)
    return key


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A real agent that holds no key yet."""
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.PIPE)
    assert agent.stdout
    agent.stdout.readline()  # it listens
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    yield
    agent.terminate()
    agent.wait()
    agent.stdout.close()


@pytest.mark.parametrize("key_first", [False, True])
def test_a_second_factor_is_asked_for_on_a_terminal(sshd: Sshd, key_first: bool) -> None:
    with asking_sshd(sshd, TWO_QUESTIONS, key_first=key_first) as port:
        seen = on_a_terminal(sshd.target(port=port), dict(TWO_QUESTIONS))
    assert "in: b'there" in seen
    assert "secret" not in seen


@pytest.mark.parametrize("key_first", [False, True])
def test_a_second_factor_without_a_terminal_is_named(
    sshd: Sshd, key_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_DEPLOY_PASSWORD", "secret")
    with asking_sshd(sshd, TWO_QUESTIONS, key_first=key_first) as port:
        error = refused(sshd, port=port)
    assert "Verification code" in error.what
    assert "terminal" in str(error.next)


def test_a_password_that_is_asked_for_by_a_question(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_DEPLOY_PASSWORD", "secret")
    with asking_sshd(sshd, TWO_QUESTIONS[:1], key_first=False) as port:
        SshDevice(sshd.target(port=port)).close()


def test_a_locked_key_is_unlocked_on_a_terminal(sshd: Sshd, tmp_path: Path) -> None:
    target = sshd.target(identity_file=str(locked_key(sshd, tmp_path)))
    seen = on_a_terminal(target, {"Passphrase of": "open it"})
    assert "again: b'there" in seen
    assert seen.count("Passphrase of") == 1
    assert "not its passphrase" in on_a_terminal(target, {"Passphrase of": "wrong"})


def test_a_locked_key_that_the_agent_holds_needs_no_passphrase(sshd: Sshd, tmp_path: Path, agent: None) -> None:
    key = locked_key(sshd, tmp_path)
    assert "ssh-add" in refused(sshd, identity_file=str(key)).what
    Path(f"{key}.pub").write_bytes(Path(f"{sshd.identity}.pub").read_bytes())
    subprocess.run(["ssh-add", "-q", sshd.identity], check=True)
    SshDevice(sshd.target(identity_file=str(key))).close()


def test_identities_only_keeps_the_agents_other_keys_back(sshd: Sshd, home: Path, agent: None) -> None:
    subprocess.run(["ssh-add", "-q", sshd.identity], check=True)
    SshDevice(sshd.target(identity_file=None)).close()
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text("Host *\n IdentitiesOnly yes\n")
    assert "no key" in refused(sshd, identity_file=None).what


def test_a_key_of_a_security_token_is_named(sshd: Sshd, tmp_path: Path) -> None:
    body = base64.b64encode(b"openssh-key-v1\0" + b"\0\0\0\x1ask-ssh-ed25519@openssh.com" + os.urandom(99)).decode()
    key = tmp_path / "id_ed25519_sk"
    key.write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
    error = refused(sshd, identity_file=str(key))
    assert "security token" in error.what
    assert "ssh-add" in error.what


@pytest.mark.parametrize("old", ["KexAlgorithms diffie-hellman-group14-sha1", "HostKeyAlgorithms ssh-rsa"])
def test_a_server_of_old_algorithms_is_named(start_sshd: StartSshd, tmp_path: Path, old: str) -> None:
    rsa = tmp_path / "rsa_host_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", rsa], check=True)
    error = refused(start_sshd(more=[old, f"HostKey {rsa}"]))
    assert "SHA-1" in error.what
    assert "Update" in str(error.next)


def test_a_port_that_closes_at_once_is_named(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        error = refused(sshd, port=listener.getsockname()[1])
    assert "banner" in error.what


def test_a_server_that_gives_one_session_at_a_time(start_sshd: StartSshd, tmp_path: Path, home: Path) -> None:
    device = SshDevice(start_sshd(more=["MaxSessions 1"]).target())
    (tmp_path / "file").write_bytes(b"x")
    device.push(tmp_path / "file", "~/file")
    assert device.run("cat ~/file").stdout == b"x"

    def interrupt(line: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        device.run("echo $$ > ~/pid; echo go; sleep 1000", on_line=interrupt)
    assert_gone(device, str(home / "pid"))
    device.close()


def test_a_server_that_gives_no_session_is_named(start_sshd: StartSshd) -> None:
    device = SshDevice(start_sshd(more=["MaxSessions 0"]).target())
    with pytest.raises(BoardError, match="session") as caught:
        device.run("true")
    assert "MaxSessions" in str(caught.value.next)
