"""Passwords: real ones, of a real server that reads a shadow file of the tests' own."""

import getpass
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openssh import SSHD, Sshd, make_key, stop_sshd, wait_for_banner
from terminal import on_a_terminal

from toolkit.devices.ssh import SshDevice
from toolkit.errors import BoardError

PASSWORD = "korrekt Pferd 'Batterie' ä"
USER = getpass.getuser()
StartPasswordSshd = Callable[..., Sshd]


@pytest.fixture
def start_password_sshd(
    start_sshd: Callable[..., Sshd], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StartPasswordSshd]:
    """Starts servers that take PASSWORD, and a key only where `methods` asks for one.

    The shadow file is theirs alone: it is mounted in a namespace that only the server sees.
    """
    monkeypatch.delenv("EDGE_DEPLOY_PASSWORD", raising=False)
    can = subprocess.run(["unshare", "-m", "mount", "--bind", "/etc/hostname", "/etc/shadow"], capture_output=True)
    if can.returncode or not shutil.which("openssl"):
        pytest.skip(f"NO NAMESPACE PERMITTED: password login is NOT tested; {can.stderr.decode().strip()}")
    servers: list[Sshd] = []

    def start(methods: str = "password") -> Sshd:
        key_only = start_sshd()
        stop_sshd(key_only.process)
        text = key_only.config.read_text().replace("PasswordAuthentication no", "PasswordAuthentication yes")
        key_only.config.write_text(f"{text}PermitRootLogin yes\nAuthenticationMethods {methods}\n")
        digest = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True)
        shadow = tmp_path / "shadow"
        shadow.write_text(f"{USER}:{digest.stdout.strip()}:19000:0:99999:7:::\n")
        command = f"mount --bind '{shadow}' /etc/shadow && exec {SSHD} -D -e -f '{key_only.config}'"
        log = key_only.config.parent / "log"
        process = subprocess.Popen(["unshare", "-m", "sh", "-c", command], stderr=log.open("wb"))
        wait_for_banner(key_only.port, process, log)
        servers.append(Sshd(key_only.port, key_only.identity, key_only.known_hosts, key_only.config, process))
        return servers[-1]

    yield start
    for server in servers:
        stop_sshd(server.process)


def password_file(folder: Path, text: str = PASSWORD + "\nnot this\n") -> str:
    (folder / "password").write_text(text)
    return str(folder / "password")


def refused(server: Sshd, **connection: object) -> BoardError:
    with pytest.raises(BoardError) as caught:
        SshDevice(server.target(**connection))
    assert len(str(caught.value).splitlines()) == 2
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_the_first_line_of_a_password_file(start_password_sshd: StartPasswordSshd, home: Path) -> None:
    device = SshDevice(start_password_sshd().target(identity_file=None, password_file=password_file(home)))
    assert device.run("echo in").stdout == b"in\n"
    device.close()
    assert device.run("echo again").stdout == b"again\n"
    device.close()


def test_a_password_file_below_the_home_folder(start_password_sshd: StartPasswordSshd, home: Path) -> None:
    server = start_password_sshd()
    password_file(home)
    SshDevice(server.target(identity_file=None, password_file="~/password")).close()


def test_the_environment_serves_where_no_file_is_named(
    start_password_sshd: StartPasswordSshd, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_password_sshd()
    monkeypatch.setenv("EDGE_DEPLOY_PASSWORD", PASSWORD)
    SshDevice(server.target(identity_file=None)).close()
    monkeypatch.setenv("EDGE_DEPLOY_PASSWORD", "wrong")
    assert refused(server, identity_file=None).what == (
        f"the board refuses user '{USER}' with the password in EDGE_DEPLOY_PASSWORD"
    )
    SshDevice(server.target(identity_file=None, password_file=password_file(home))).close()


def test_a_password_after_a_key_where_the_board_asks_for_both(
    start_password_sshd: StartPasswordSshd, home: Path
) -> None:
    server = start_password_sshd("publickey,password")
    SshDevice(server.target(password_file=password_file(home))).close()
    error = refused(server)
    assert error.what.endswith("(accepted, but it asks for more)")
    assert "the password in" not in error.what


def test_a_password_after_a_key_that_is_refused(start_password_sshd: StartPasswordSshd, home: Path) -> None:
    other = make_key(home / "other")
    server = start_password_sshd("publickey password")
    SshDevice(server.target(identity_file=str(other), password_file=password_file(home))).close()


@pytest.mark.parametrize(
    ("text", "said"),
    [("wrong\n", ""), ("", " (empty)"), ("\nsecond\n", " (empty)"), (None, " (No such file or directory)")],
)
def test_a_password_file_that_does_not_serve(
    start_password_sshd: StartPasswordSshd, home: Path, text: str | None, said: str
) -> None:
    path = password_file(home, text) if text is not None else str(home / "absent")
    error = refused(start_password_sshd(), identity_file=None, password_file=path)
    assert error.what == f"the board refuses user '{USER}' with the password in {path}{said}"
    assert str(error.next).startswith("Mend the password, or install your key")


def test_a_board_that_takes_no_passwords(sshd: Sshd, home: Path) -> None:
    error = refused(sshd, identity_file=None, password_file=password_file(home))
    assert "the password in" in error.what


def at_a_terminal(server: Sshd, answer: str) -> str:
    """What a person sees who connects to the server and answers every question for a password so."""
    return on_a_terminal(server.target(identity_file=None), {"Password of": answer})


def test_a_password_is_asked_for_once_at_a_terminal(start_password_sshd: StartPasswordSshd) -> None:
    server = start_password_sshd()
    seen = at_a_terminal(server, PASSWORD)
    assert f"Password of {USER}@127.0.0.1: " in seen
    assert seen.count("Password of") == 1
    assert "in: b'there" in seen
    assert "again: b'there" in seen
    assert PASSWORD not in seen


@pytest.mark.parametrize("answer", ["wrong", ""])
def test_a_wrong_answer_is_one_clear_line(start_password_sshd: StartPasswordSshd, answer: str) -> None:
    seen = at_a_terminal(start_password_sshd(), answer)
    assert seen.count("Password of") == 1
    assert f"refuses user '{USER}' with the password typed" in seen
    assert "Traceback" not in seen


def test_no_question_where_the_board_takes_no_passwords(start_password_sshd: StartPasswordSshd) -> None:
    seen = at_a_terminal(start_password_sshd("publickey"), PASSWORD)
    assert "Password of" not in seen
    assert "refuses user" in seen


def test_a_board_that_takes_only_passwords_names_the_variable_where_there_is_no_terminal(
    start_password_sshd: StartPasswordSshd,
) -> None:
    error = refused(start_password_sshd())
    assert "it takes no keys" in error.what
    assert "EDGE_DEPLOY_PASSWORD" in str(error.next)
