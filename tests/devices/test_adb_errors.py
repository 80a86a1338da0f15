"""Each reason for which a board over adb cannot be used ends in one BoardError that says what to do.

The adb server is real throughout, and so is the emulated board's adbd. Debian's adbd asks for no key: that of a
phone which does is played by a small TCP server, up to the dialog that its owner has not answered.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from adb_client import Adb
from boards import board_at
from ports import free_ports
from relay import Relay, relay_to
from wary_adbd import friendly_adbd, wary_adbd

from toolkit import lab
from toolkit.devices.adb.address import address_of
from toolkit.devices.adb.device import _START, AdbDevice
from toolkit.devices.connect import connect
from toolkit.errors import BoardError
from toolkit.targets import Target


def target(serial: str | None = None) -> Target:
    return board_at({"transport": "adb", "serial": serial}, "phone")


def wait_until(holds: Callable[[], bool]) -> None:
    """For what the adb server learns by itself."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def refused(asked: Target) -> BoardError:
    with pytest.raises(BoardError) as caught:
        AdbDevice(asked)
    assert "phone" in str(caught.value.where)
    assert caught.value.next
    return caught.value


@pytest.fixture
def no_boards(adb: Adb, monkeypatch: pytest.MonkeyPatch) -> Iterator[Adb]:
    """The server, which sees nothing."""
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    adb("disconnect")
    yield adb
    adb("disconnect")


@pytest.fixture
def adb_port(emulated_pi: Target) -> int:
    board = lab.status("emulated-android")
    assert board is not None
    return board.adb_port


@pytest.fixture
def cable(adb_port: int, no_boards: Adb) -> Iterator[Relay]:
    """Between the adb server and the emulated board."""
    with relay_to(adb_port) as relay:
        yield relay


@pytest.fixture
def phone(cable: Relay) -> Iterator[AdbDevice]:
    """The emulated board behind that cable."""
    device = AdbDevice(target(f"127.0.0.1:{cable.port}"))
    yield device
    cable.mend()
    device.run("rm -f file .file.*.part")
    device.close()


def test_adb_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_ports(1)))
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BoardError, match="adb is not installed") as caught:
        AdbDevice(target("0123456789"))
    assert "apt-get install adb" in str(caught.value.next)


def test_an_adb_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "adb").write_text("#!/bin/sh\necho cannot bind >&2; exit 1\n")
    (tmp_path / "adb").chmod(0o755)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_ports(1)))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BoardError, match="did not start: cannot bind"):
        AdbDevice(target("0123456789"))


@pytest.mark.parametrize("port", ["no number", "70000", "-1"])
def test_a_port_that_no_server_can_have(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", port)
    with pytest.raises(BoardError, match=r"cannot be reached: |did not start: |adb is not installed") as caught:
        AdbDevice(target("0123456789"))
    if "not installed" not in caught.value.what:  # a server that may be anywhere is started by the adb of this machine
        assert caught.value.where == f"adb server at 127.0.0.1:{port}"


def test_no_board_is_attached(no_boards: Adb) -> None:
    error = refused(target())
    assert error.what == "adb sees no board"
    assert [word for word in ("USB debugging", "--host", "deploy connect") if word not in str(error.next)] == []


def test_no_board_has_that_serial(no_boards: Adb) -> None:
    error = refused(target("0123456789"))
    assert error.what == "adb sees no board with that serial; it sees none at all"


def test_nothing_listens_there(no_boards: Adb) -> None:
    error = refused(target(f"127.0.0.1:{free_ports(1)}"))
    assert error.what.startswith("cannot reach the board: ")
    assert "Connection refused" in error.what
    assert "adb tcpip 5555" in str(error.next)


def test_a_name_that_does_not_resolve(no_boards: Adb) -> None:
    assert "cannot reach the board: " in refused(target("no-such-board.invalid:5555")).what


def test_a_key_that_the_phone_has_not_accepted(no_boards: Adb) -> None:
    with wary_adbd() as port:
        error = refused(target(f"127.0.0.1:{port}"))
        assert no_boards("devices").splitlines()[1] == f"127.0.0.1:{port}\tunauthorized"
    assert "does not trust this computer's adb key" in error.what
    assert "accept this computer's key" in str(error.next)


def test_the_board_that_is_online_is_meant_where_others_are_not(no_boards: Adb) -> None:
    with friendly_adbd() as online, wary_adbd() as other:
        for port in (other, online):
            no_boards("connect", f"127.0.0.1:{port}")
        wait_until(lambda: no_boards("devices").count("\tdevice") == 1)
        assert address_of(target()).serial == f"127.0.0.1:{online}"


def test_several_boards_are_online(no_boards: Adb) -> None:
    with friendly_adbd() as one, friendly_adbd() as two:
        for port in (one, two):
            no_boards("connect", f"127.0.0.1:{port}")
        wait_until(lambda: no_boards("devices").count("\tdevice") == 2)
        error = refused(target())
    assert all(f"127.0.0.1:{port}" in error.what for port in (one, two))
    assert "adb:127.0.0.1:" in str(error.next)
    assert "ANDROID_SERIAL" in str(error.next)


def test_a_board_that_accepts_and_says_nothing(no_boards: Adb) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refused(target(f"127.0.0.1:{silent.getsockname()[1]}"))
    assert "the board is offline" in error.what or "cannot reach the board" in error.what


@pytest.mark.board
def test_more_than_one_board_is_attached(no_boards: Adb, adb_port: int) -> None:
    both = [f"127.0.0.1:{adb_port}", f"localhost:{adb_port}"]
    for serial in both:
        no_boards("connect", serial)
    error = refused(target())
    assert error.what == f"more than one board is attached: {', '.join(both)}"
    assert "ANDROID_SERIAL" in str(error.next)
    error = refused(target("0123456789"))
    assert all(serial in error.what for serial in both)
    no_boards("disconnect", both[1])
    assert AdbDevice(target()).run("echo the only one").stdout == b"the only one\n"


@pytest.mark.board
def test_the_variable_of_adb_chooses_the_board(no_boards: Adb, adb_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_SERIAL", f"127.0.0.1:{adb_port}")
    assert connect(target()).run("echo it").stdout == b"it\n"


@pytest.mark.board
def test_a_connection_lost_while_a_command_runs(phone: AdbDevice, cable: Relay) -> None:
    with pytest.raises(BoardError, match="connection was lost while running: echo go"):
        phone.run("echo go; sleep 3", on_line=lambda _: cable.cut())
    with pytest.raises(BoardError, match=r"cannot reach the board|is offline"):
        phone.run("true")
    cable.mend()
    assert phone.run("echo back").stdout == b"back\n"


@pytest.mark.board
def test_a_connection_lost_amid_a_push_leaves_the_old_file(phone: AdbDevice, cable: Relay, tmp_path: Path) -> None:
    phone.run("echo old > file")
    (tmp_path / "large").write_bytes(os.urandom(20_000_000))
    cable.cut_after = 3_000_000
    with pytest.raises(BoardError, match="connection was lost while pushing large"):
        phone.push(tmp_path / "large", "~/file")
    cable.mend()
    assert phone.run("cat file; ls -A | grep part").stdout == b"old\n"
    phone.push(tmp_path / "large", "~/file")
    assert phone.run("wc -c < file").stdout == b"20000000\n"


@pytest.mark.board
def test_a_connection_lost_amid_a_pull_leaves_nothing(phone: AdbDevice, cable: Relay, tmp_path: Path) -> None:
    phone.run("head -c 20000000 /dev/urandom > file")
    (tmp_path / "here").mkdir()
    cable.cut_after = 3_000_000
    with pytest.raises(BoardError, match="connection was lost while pulling ~/file"):
        phone.pull("~/file", tmp_path / "here" / "file")
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.board
def test_a_server_that_was_killed_is_started_again(phone: AdbDevice, no_boards: Adb, home: Path) -> None:
    no_boards("kill-server")
    assert phone.run("echo back").stdout == b"back\n"


@pytest.mark.board
def test_a_server_that_stopped_answering_costs_no_more_than_the_timeout(
    phone: AdbDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.devices.adb.server.ANSWER_TIMEOUT_S", 1.0)
    port = os.environ["ANDROID_ADB_SERVER_PORT"]
    listed = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True).stdout
    pid = int(listed.partition("pid=")[2].partition(",")[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(BoardError, match="connection was lost while running: true"):
            phone.run("true")
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.board
def test_a_command_too_long_for_adb_is_refused(phone: AdbDevice) -> None:
    with pytest.raises(BoardError, match="adb carries no command of 7"):
        phone.run(f": {'x' * 70_000}")


@pytest.mark.board
def test_what_it_makes_is_not_for_everybody_to_write(phone: AdbDevice, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b"x")
    phone.push(tmp_path / "sent", "~/file")
    assert phone.run("stat -c %a file; umask").stdout == b"644\n0022\n"


@pytest.mark.board
def test_a_read_only_disk_is_named(phone: AdbDevice, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b"x")
    folder = "/tmp/read only"
    phone.run(f"mkdir '{folder}' && mount -t tmpfs -o ro tmpfs '{folder}'")
    try:
        with pytest.raises(BoardError, match=r"pushing sent failed: .*Read-only file system"):
            phone.push(tmp_path / "sent", f"{folder}/file")
    finally:
        phone.run(f"umount '{folder}'; rmdir '{folder}'")


@pytest.mark.board
def test_pulling_a_folder_is_refused(phone: AdbDevice, tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="Is a directory"):
        phone.pull("/root", tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.board
@pytest.mark.parametrize("home", ["", "/", "/proc/1"])
def test_a_shell_without_a_home_of_its_own_uses_the_folder_that_has_one(phone: AdbDevice, home: str) -> None:
    assert phone.run(f"HOME={home}; {_START}; echo $HOME").stdout == b"/data/local/tmp\n"
