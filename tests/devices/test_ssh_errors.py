"""Each way in which a board behind SSH fails ends in one BoardError with what, where and what to do next."""

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from openssh import Sshd, freeze_sessions, kill_sessions, make_key, stop_sshd, thaw

from toolkit.devices.ssh import SshDevice, link, shell_files
from toolkit.devices.ssh.address import address_of
from toolkit.errors import BadInput, BoardError
from toolkit.targets import Target

USER = getpass.getuser()


def refused(target: Target) -> BoardError:
    with pytest.raises(BoardError) as caught:
        SshDevice(target)
    assert len(str(caught.value).splitlines()) == 2
    assert caught.value.where
    assert caught.value.where.startswith("target test-board")
    return caught.value


def quoted_command(text: str) -> str:
    """The last thing between backquotes."""
    return text.split("`")[-2]


def test_a_refused_port(sshd: Sshd) -> None:
    stop_sshd(sshd.process)
    error = refused(sshd.target())
    assert error.what == "cannot reach the board: Connection refused"
    assert f"ssh -i {sshd.identity} -p {sshd.port} " in str(error.next)


def test_an_address_that_nobody_gave_is_said_to_be_a_default(sshd: Sshd) -> None:
    stop_sshd(sshd.process)
    mine = sshd.target()
    usual = mine.model_copy(update={"family": mine.family.model_copy(update={"place": mine.place})})
    assert "--host" not in str(refused(mine).next)
    advice = str(refused(usual).next)
    assert [word for word in ("default", "--host", "deploy connect") if word not in advice] == []


def test_a_name_that_does_not_resolve(sshd: Sshd) -> None:
    assert "cannot reach the board: " in refused(sshd.target(host="no-such-board.invalid")).what


@pytest.mark.parametrize("host", ["..", "a" * 70])
def test_a_name_that_no_host_can_have(sshd: Sshd, host: str) -> None:
    assert "cannot reach the board: " in refused(sshd.target(host=host)).what


@pytest.mark.parametrize("host", ["bad host", "-oProxyCommand=x", "host:port", "user@"])
def test_a_host_that_is_no_destination(sshd: Sshd, host: str) -> None:
    with pytest.raises(BadInput) as caught:
        SshDevice(sshd.target(host=host))
    assert caught.value.where == "target test-board"
    assert "HOST" in str(caught.value.next)


@pytest.mark.parametrize("form", ["{user}@127.0.0.1:{port}", "ssh://{user}@127.0.0.1:{port}", "[127.0.0.1]:{port}"])
def test_a_host_as_people_write_it(sshd: Sshd, form: str) -> None:
    target = sshd.target(host=form.format(user=USER, port=sshd.port), port=None, user=None)
    assert address_of(target).where.endswith(f"({USER}@127.0.0.1:{sshd.port})")
    SshDevice(target).close()


def test_a_board_that_never_answers(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "CONNECT_TIMEOUT_S", 0.3)
    monkeypatch.setattr(link, "HANDSHAKE_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refused(sshd.target(port=silent.getsockname()[1]))
    assert "no SSH banner within 0.3 s" in error.what


def test_a_board_whose_address_is_only_a_default(sshd: Sshd) -> None:
    stop_sshd(sshd.process)
    target = sshd.target()
    shipped = target.model_copy(update={"family": target.family.model_copy(update={"place": target.place})})
    error = refused(shipped)
    assert "default" in str(error.next)
    assert "--host" in str(error.next)


def test_an_unknown_host_key_is_refused_until_the_printed_command_has_run(
    start_sshd: Callable[..., Sshd], tmp_path: Path
) -> None:
    sshd = start_sshd(known=False)
    target = sshd.target(known_hosts_file=str(tmp_path / "new folder" / "known_hosts"))
    error = refused(target)
    host_key = tmp_path / "sshd-0" / "host_key.pub"
    fingerprint = subprocess.run(["ssh-keygen", "-lf", host_key], capture_output=True, text=True).stdout.split()[1]
    assert fingerprint in error.what
    assert "ssh_host_ed25519_key.pub" in str(error.next)
    subprocess.run(quoted_command(str(error.next)), shell=True, check=True, capture_output=True)
    SshDevice(target).close()


def test_a_changed_host_key_is_refused_until_the_printed_command_has_run(
    start_sshd: Callable[..., Sshd],
) -> None:
    first = start_sshd()
    stop_sshd(first.process)
    second = start_sshd(first.port, known=False)
    error = refused(second.target())
    assert "THE HOST KEY CHANGED" in error.what
    assert error.what.count("SHA256:") == 2
    assert "someone sits between" in str(error.next)
    command = quoted_command(str(error.next))
    assert command == f"ssh-keygen -R {shlex.quote(f'[127.0.0.1]:{first.port}')} -f {first.known_hosts}"
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert "unknown host key" in refused(second.target()).what


def test_a_key_the_board_does_not_know(sshd: Sshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    error = refused(sshd.target(identity_file=str(other), user="nobody"))
    assert error.what == f"the board refuses user 'nobody' with {other}"
    assert str(error.next).endswith(f"`ssh-copy-id -i {other} -p {sshd.port} nobody@127.0.0.1`")


def test_an_identity_file_that_is_missing_locked_or_no_key(sshd: Sshd, tmp_path: Path) -> None:
    assert "absent (no such file)" in refused(sshd.target(identity_file=str(tmp_path / "absent"))).what
    (tmp_path / "text").write_text("hello")
    assert "text (not a private key)" in refused(sshd.target(identity_file=str(tmp_path / "text"))).what
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked], check=True)
    assert "ssh-add" in refused(sshd.target(identity_file=str(locked))).what


def test_no_key_at_all(sshd: Sshd) -> None:
    error = refused(sshd.target(identity_file=None))
    assert "no key: none was found" in error.what
    assert "ssh-keygen -t ed25519 && ssh-copy-id" in str(error.next)


def test_the_default_key_is_found(sshd: Sshd, home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id_ed25519").write_bytes(sshd.identity.read_bytes())
    SshDevice(sshd.target(identity_file=None)).close()


def test_ssh_config_fills_only_what_the_target_leaves_open(sshd: Sshd, home: Path) -> None:
    (home / ".ssh").mkdir()
    config = home / ".ssh" / "config"
    own = f"HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.identity}\n"
    config.write_text(f"Host board\n {own} User {os.environ.get('USER', 'root')}\nHost *\n User nobody\n")
    place = {"host": "board", "identity_file": None, "user": None}
    SshDevice(sshd.target(**place, port=None)).close()
    assert address_of(sshd.target(**place, port=1)).port == 1


def test_a_broken_ssh_config_is_named(sshd: Sshd, home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text("gibberish\n")
    with pytest.raises(BoardError) as caught:
        SshDevice(sshd.target())
    assert str(caught.value.where).endswith(".ssh/config")


@pytest.mark.parametrize("program", ["/no/such/program", "/bin/echo"])
def test_files_go_through_the_shell_where_the_sftp_program_is_none(
    start_sshd: Callable[..., Sshd], tmp_path: Path, home: Path, program: str
) -> None:
    device = SshDevice(start_sshd(sftp=False, more=[f"Subsystem sftp {program}"]).target())
    (tmp_path / "file").write_bytes(b"x")
    device.push(tmp_path / "file", "~/file")
    assert (home / "file").read_bytes() == b"x"
    device.close()


@pytest.mark.parametrize("sftp", [False, True])
def test_a_login_shell_that_prints_does_not_spoil_files(
    start_sshd: Callable[..., Sshd], tmp_path: Path, sftp: bool
) -> None:
    device = SshDevice(start_sshd(sftp=sftp, more=['ForceCommand echo Welcome; eval "$SSH_ORIGINAL_COMMAND"']).target())
    (tmp_path / "file").write_bytes(bytes(range(256)))
    device.push(tmp_path / "file", "~/file")
    device.pull("~/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == bytes(range(256))
    device.close()


@pytest.mark.parametrize("shell", ["fish", "tcsh", "zsh"])
def test_files_go_through_any_login_shell(start_sshd: Callable[..., Sshd], tmp_path: Path, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"NO {shell}: it is NOT tested as a login shell")
    device = SshDevice(start_sshd(sftp=False, shell=program).target())
    (tmp_path / "file").write_bytes(bytes(range(256)))
    device.push(tmp_path / "file", "~/it's a file!")
    device.pull("~/it's a file!", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == bytes(range(256))
    device.close()


@pytest.mark.parametrize("status", [0, 1])
def test_what_takes_the_place_of_our_shell_is_sent_no_byte_of_a_file(
    start_sshd: Callable[..., Sshd], tmp_path: Path, home: Path, status: int
) -> None:
    other = f"ForceCommand read line; echo No commands; exit {status}"
    device = SshDevice(start_sshd(sftp=False, more=[other]).target())
    (tmp_path / "file").write_text("\ntouch ~/run\n")
    with pytest.raises(BoardError):
        device.push(tmp_path / "file", "~/file")
    assert list(home.iterdir()) == []
    device.close()


def test_a_connection_lost_while_a_command_runs(sshd: Sshd, ssh: SshDevice, capfd: pytest.CaptureFixture) -> None:
    def cut(line: bytes) -> None:
        stop_sshd(sshd.process)

    with pytest.raises(BoardError, match="connection was lost while running: echo go"):
        ssh.run("echo go; sleep 1000", timeout_s=300, on_line=cut)
    with pytest.raises(BoardError, match="cannot reach the board: Connection refused"):
        ssh.run("true")
    ssh.close()
    assert "Traceback" not in capfd.readouterr().err


def end_sessions(sshd: Sshd, ssh: SshDevice) -> None:
    """Returns when the news is here; sooner, the next call would be the one in which the connection broke."""
    kill_sessions(sshd)
    for each in ssh._links:
        each.transport.join(300)


def test_a_connection_lost_between_two_calls_is_opened_anew(sshd: Sshd, ssh: SshDevice, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    ssh.push(tmp_path / "file", "~/file")
    end_sessions(sshd, ssh)
    ssh.push(tmp_path / "file", "~/file")
    end_sessions(sshd, ssh)
    assert ssh.run("echo back").stdout == b"back\n"
    stop_sshd(sshd.process)
    with pytest.raises(BoardError, match="cannot reach the board"):
        ssh.push(tmp_path / "file", "~/file")


def test_a_board_that_falls_silent_amid_a_push(
    sshd: Sshd, ssh: SshDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_files, "SILENCE_S", 1.0)
    (tmp_path / "large").write_bytes(bytes(30_000_000))
    (tmp_path / "small").write_bytes(b"x")
    ssh.push(tmp_path / "small", "~/small")
    frozen = freeze_sessions(sshd)
    try:
        with pytest.raises(BoardError, match="connection was lost while pushing large"):
            ssh.push(tmp_path / "large", "~/large")
    finally:
        thaw(frozen)
    ssh.push(tmp_path / "large", "~/large")
    assert ssh.run("wc -c < ~/large").stdout.strip() == b"30000000"


def test_a_command_is_not_sent_twice(sshd: Sshd, ssh: SshDevice, tmp_path: Path) -> None:
    count = tmp_path / "count"
    with pytest.raises(BoardError, match="connection was lost while running"):
        ssh.run(f"echo once >> {count}; echo go; sleep 3", on_line=lambda _: kill_sessions(sshd))
    assert ssh.run(f"cat {count}").stdout == b"once\n"


def test_a_connection_lost_amid_a_push_leaves_the_old_file(
    sshd: Sshd, ssh: SshDevice, home: Path, tmp_path: Path
) -> None:
    (home / "file").write_bytes(b"old")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(400_000_000)

    def cut_once_it_arrives() -> None:
        while not any(part.stat().st_size > 1_000_000 for part in home.glob(".file.*.part")):
            time.sleep(0.001)
        stop_sshd(sshd.process)

    cutter = threading.Thread(target=cut_once_it_arrives, daemon=True)
    cutter.start()
    with pytest.raises(BoardError, match=r"connection was lost while pushing large"):
        ssh.push(tmp_path / "large", "~/file")
    cutter.join()
    assert (home / "file").read_bytes() == b"old"
