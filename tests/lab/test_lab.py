"""The emulated board: what it is built from, how it starts and stops, and what answers on it."""

import dataclasses
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import paramiko
import pytest
from adb_client import Adb
from typer.testing import CliRunner

from toolkit import lab
from toolkit.cache import cache_folder
from toolkit.cli.lab import app
from toolkit.devices import connect
from toolkit.errors import BadInput, BoardError
from toolkit.lab.debian_sources import sources_from
from toolkit.lab.disk import ensure_kept_disk
from toolkit.lab.initrd import module_order
from toolkit.lab.keys import ensure_keys
from toolkit.lab.ports import ADB_SCANS, forget_ports, is_free, take_ports
from toolkit.lab.tools import TO_BOOT, require
from toolkit.targets import AdbPlace, SshPlace, Target, load_family, load_target


@pytest.fixture
def own_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab apart from the user's: own state and own ports, but the image that is already built."""
    images = cache_folder() / "lab-image"
    images.mkdir(exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "lab-image").symlink_to(images)
    monkeypatch.setenv("EDGE_DEPLOY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "lab" / "emulated-pi"


@pytest.fixture
def own_board(emulated_pi: Target, own_lab: Path) -> Iterator[lab.Board]:
    """A second board in its own lab, for tests that are rough with it."""
    yield lab.up("emulated-pi", on_step=lambda _: None)
    lab.down("emulated-pi")


def test_a_kernel_module_comes_after_those_it_depends_on(tmp_path: Path) -> None:
    modules = {}
    for name, needs in {"ext4": b"mbcache,jbd2", "jbd2": b"crc16", "mbcache": b"", "crc16": b""}.items():
        modules[name] = tmp_path / f"{name}.ko"
        modules[name].write_bytes(b"license=GPL\0depends=" + needs + b"\0name=x\0")
    assert [path.stem for path in module_order(modules, ["ext4", "crc16"])] == [
        "mbcache",
        "crc16",
        "jbd2",
        "ext4",
    ]


def test_a_kernel_without_a_needed_module_is_refused_by_name() -> None:
    with pytest.raises(lab.BoardUnavailable, match="virtio_blk"):
        module_order({}, ["virtio_blk"])


def test_packages_come_from_the_machines_own_mirrors_whatever_release_it_runs() -> None:
    lines = [
        "trixie http://mirror.invalid/debian/",
        "trixie-updates http://mirror.invalid/debian/",
        "trixie-security http://mirror.invalid/security/",
    ]
    assert sources_from(lines, "bookworm") == [
        "deb http://mirror.invalid/debian/ bookworm main",
        "deb http://mirror.invalid/security/ bookworm-security main",
    ]


def test_a_machine_without_a_debian_mirror_is_told_so() -> None:
    with pytest.raises(lab.BoardUnavailable, match="no Debian mirror"):
        sources_from([], "bookworm")


def test_missing_tools_are_answered_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(lab.BoardUnavailable, match="qemu-system-aarch64, ssh-keygen, openssl") as caught:
        require(TO_BOOT)
    assert caught.value.next is not None
    assert caught.value.next.startswith("apt-get install --no-install-recommends ")
    assert {"mmdebstrap", "openssh-client", "openssl", "qemu-system-arm"} <= set(caught.value.next.split())


def test_up_without_tools_starts_nothing(own_lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(lab.BoardUnavailable):
        lab.up("emulated-pi", on_step=lambda _: None)
    assert lab.status("emulated-pi") is None


def test_the_host_key_is_known_before_the_first_boot(tmp_path: Path) -> None:
    try:
        require(["ssh-keygen"])
    except lab.BoardUnavailable as error:
        pytest.skip(str(error))
    ensure_keys(tmp_path, "127.0.0.1", 40022)
    known = paramiko.HostKeys(str(tmp_path / "known_hosts"))
    key = paramiko.Ed25519Key.from_private_key_file(str(tmp_path / "ssh_host_ed25519_key"))
    assert known.check("[127.0.0.1]:40022", key)
    assert (tmp_path / "id_ed25519").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "password").stat().st_mode & 0o777 == 0o600
    password = (tmp_path / "password").read_text()
    ensure_keys(tmp_path, "127.0.0.1", 40022)
    assert (tmp_path / "password").read_text() == password


@pytest.mark.parametrize("content", [pytest.param(str(os.getpid()), id="this process"), "4194304", "", "not a number"])
def test_a_stale_pidfile_is_no_board(own_lab: Path, content: str) -> None:
    own_lab.mkdir(parents=True)
    (own_lab / "pid").write_text(content)
    assert lab.status("emulated-pi") is None
    assert lab.down("emulated-pi") is False


def test_a_machine_keeps_its_ports_while_they_are_free(tmp_path: Path) -> None:
    ports = take_ports(tmp_path)
    assert take_ports(tmp_path) == ports
    with socket.create_server(("127.0.0.1", ports.console)):
        others = take_ports(tmp_path)
    assert ports.console not in asdict(others).values()
    assert take_ports(tmp_path) == others
    forget_ports(tmp_path)
    assert take_ports(tmp_path) != others


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"ssh": 1, "console": "2", "adb": 70000}', '{"ssh": 22}', "null"])
def test_ports_that_were_kept_wrongly_are_taken_anew(tmp_path: Path, kept: str) -> None:
    (tmp_path / "ports.json").write_text(kept)
    ports = asdict(take_ports(tmp_path)).values()
    assert len(set(ports)) == 3
    assert not set(ports) & set(ADB_SCANS)
    assert all(map(is_free, ports))


@pytest.mark.parametrize("name", ["emulated-pi", "emulated-android", "emulated-console"])
def test_a_board_that_is_off_is_answered_with_how_to_start_it(own_lab: Path, name: str) -> None:
    with pytest.raises(BoardError, match="off") as caught:
        connect(load_target(name))
    assert f"deploy lab up {name}" in str(caught.value.next)


def test_a_real_board_cannot_be_emulated() -> None:
    with pytest.raises(BadInput, match="not an emulated board") as caught:
        lab.status("host")
    assert "emulated-android, emulated-console, emulated-pi" in str(caught.value.next)


def test_the_command_line_tells_that_no_board_runs(own_lab: Path) -> None:
    shown = CliRunner().invoke(app, ["status", "--json"])
    assert json.loads(shown.stdout) == {"name": "emulated-pi", "running": False}


def test_a_cpu_that_is_not_emulated_is_answered_with_those_that_are(own_lab: Path) -> None:
    shown = CliRunner().invoke(app, ["up", "emulated-pi", "--cpu", "cortex-m4"])
    assert shown.exit_code == 2
    assert "cortex-a72" in shown.output
    assert "cortex-a76" in shown.output


@pytest.mark.parametrize("verb", ["down", "cut"])
def test_the_command_line_tells_that_there_was_nothing_to_end(own_lab: Path, verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "emulated-console", "--json"])
    assert json.loads(shown.stdout) == {"name": "emulated-console", "running": False, "was_running": False}


@pytest.mark.board
def test_the_board_is_reached_with_the_targets_own_files(emulated_pi: Target) -> None:
    board = lab.status("emulated-pi")
    assert board is not None
    place = lab.reached(emulated_pi).place
    assert isinstance(place, SshPlace)
    assert (place.identity_file, place.known_hosts_file) == (str(board.identity_file), str(board.known_hosts_file))
    assert run(board, "uname -m; hostname; python3 -c 'print(6 * 7)'").split() == [
        "aarch64",
        "emulated-pi",
        "42",
    ]


@pytest.mark.board
def test_the_console_asks_for_the_password_and_has_a_log(own_board: lab.Board) -> None:
    password = own_board.password_file.read_text().strip()
    wait_until(lambda: "emulated-pi login:" in own_board.console_log.read_text(errors="replace"))
    with socket.create_connection(("127.0.0.1", own_board.serial_port), timeout=30) as console:
        console.sendall(b"root\n")
        read_until(console, b"Password:")
        console.sendall(b"not it\n")
        read_until(console, b"Login incorrect")
        read_until(console, b"login:")
        console.sendall(b"root\n")
        read_until(console, b"Password:")
        console.sendall(f"{password}\n".encode())
        read_until(console, b"root@emulated-pi")
        console.sendall(b"echo answer $((6 * 7)) $(id -u) $-\n")
        assert b"m" in read_until(console, b"answer 42 0 ", b"\n").split()[-1]  # job control: Ctrl-C works
        console.sendall(b"exit\n")
        read_until(console, b"login:")
    wait_until(lambda: "answer 42 0" in own_board.console_log.read_text(errors="replace"))
    assert password not in own_board.console_log.read_text(errors="replace")


@pytest.mark.board
def test_ssh_takes_the_password_too(emulated_pi: Target) -> None:
    board = lab.status("emulated-pi")
    assert board is not None
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(board.known_hosts_file))
        password = board.password_file.read_text().strip()
        where = {"port": board.ssh_port, "username": "root", "allow_agent": False, "look_for_keys": False}
        with pytest.raises(paramiko.AuthenticationException):
            client.connect("127.0.0.1", password=f"{password}x", **where)
        client.connect("127.0.0.1", password=password, **where)


@pytest.mark.board
def test_adb_leads_to_the_same_board(emulated_pi: Target, adb: Adb) -> None:
    board = lab.status("emulated-android")
    assert board == lab.status("emulated-pi") == lab.status("emulated-console")
    assert board is not None
    serial = f"127.0.0.1:{board.adb_port}"
    assert lab.target_on(board, "emulated-android").place == AdbPlace(serial=serial)
    assert "connected" in adb("connect", serial)
    assert adb("-s", serial, "shell", "hostname; python3 -c 'print(6 * 7)'; pwd").split() == ["emulated-pi", "42", "/"]


@pytest.mark.board
def test_two_labs_on_one_machine_keep_apart(emulated_pi: Target, own_board: lab.Board) -> None:
    """The one of `emulated_pi` runs under another cache folder."""
    ours = {own_board.ssh_port, own_board.serial_port, own_board.adb_port}
    place = lab.reached(load_target("emulated-pi")).place
    assert isinstance(place, SshPlace)
    assert (place.port, place.identity_file) == (own_board.ssh_port, str(own_board.identity_file))
    assert run(own_board, "hostname") == "emulated-pi\n"
    assert not ours & set(ADB_SCANS)


@pytest.mark.board
def test_boards_of_both_cpus_run_at_once(own_board: lab.Board) -> None:
    """The parts' numbers are Arm's; `asimddp` is how Linux names the dot products that a Cortex-A76 has."""
    try:
        other = lab.up("emulated-pi-5", on_step=lambda _: None)
        assert (own_board.cpu, other.cpu) == ("cortex-a72", "cortex-a76")
        assert lab.status("emulated-pi") == own_board
        asked = "grep -o 'part.*' /proc/cpuinfo; grep -c asimddp /proc/cpuinfo"
        assert run(own_board, asked) == "part\t: 0xd08\n0\n"
        assert run(other, asked) == "part\t: 0xd0b\n1\n"
        assert load_family("emulated-pi").cpu == "implementer 0x41 part 0xd08"
        assert load_family("emulated-pi-5").cpu == "implementer 0x41 part 0xd0b"
        shown = CliRunner().invoke(app, ["status", "emulated-pi-5"]).stdout
        assert f"emulated-pi-5 is running (process {other.pid}, cortex-a76)" in shown
    finally:
        lab.down("emulated-pi-5")


@pytest.mark.board
def test_a_board_boots_with_the_cpu_that_is_asked_for(emulated_pi: Target, own_lab: Path) -> None:
    try:
        assert lab.up("emulated-pi", on_step=lambda _: None, cpu="cortex-a76").cpu == "cortex-a76"
        assert lab.up("emulated-pi", on_step=lambda _: None).cpu == "cortex-a76"  # it runs, and is left as it is
        with pytest.raises(BoardError, match="already runs, as a cortex-a76"):
            lab.up("emulated-pi", on_step=lambda _: None, cpu="cortex-a72")
    finally:
        lab.down("emulated-pi")


@pytest.mark.board
def test_a_board_comes_back_on_its_ports_unless_somebody_has_taken_one(own_board: lab.Board) -> None:
    assert lab.cut("emulated-pi")
    again = lab.up("emulated-pi", on_step=lambda _: None)
    assert (again.ssh_port, again.serial_port, again.adb_port) == (
        own_board.ssh_port,
        own_board.serial_port,
        own_board.adb_port,
    )
    assert lab.cut("emulated-pi")
    wait_until(lambda: is_free(again.adb_port))  # QEMU gives it up a moment after its name
    with socket.create_server(("127.0.0.1", again.adb_port)):
        elsewhere = lab.up("emulated-pi", on_step=lambda _: None)
    assert elsewhere.adb_port != again.adb_port
    assert run(elsewhere, "hostname") == "emulated-pi\n"


@pytest.mark.board
def test_a_power_cut_loses_what_was_not_synced_and_the_journal_recovers(
    emulated_pi: Target, own_lab: Path, tmp_path: Path
) -> None:
    machine = lab.Machine("rough", tmp_path / "rough", keep_disk=True)
    try:
        board = lab.power_on(machine, on_step=lambda _: None)
        write = "cd /data/local/tmp && head -c 3000000 /dev/urandom > {0} && sha256sum {0}"
        kept = run(board, f"{write.format('kept')} && sync")
        lost = run(board, write.format("lost"))
        with ssh_client(board) as client:
            _, output, _ = client.exec_command("cd /root; while :; do i=$((i+1)); echo $i > $i; sync $i; echo $i; done")
            synced = [output.readline().strip() for _ in range(20)]
            assert lab.power_cut(machine)
        assert lab.power_cut(machine) is False
        again = lab.power_on(machine, on_step=lambda _: None)
        assert run(again, "cd /data/local/tmp && sha256sum kept") == kept
        assert run(again, "cd /data/local/tmp && sha256sum lost || true") != lost
        assert run(again, f"cd /root && cat {' '.join(synced)}").split() == synced
        assert "recovery complete" in run(again, "dmesg")
        run(again, "touch /root/new")  # the disk is writable
        assert again.keeps_disk
        assert lab.power_off(machine)
        forgetful = lab.power_on(dataclasses.replace(machine, keep_disk=False), on_step=lambda _: None)
        assert run(forgetful, "ls /root /data/local/tmp").split() == ["/data/local/tmp:", "/root:"]
        with pytest.raises(BoardError, match="already runs, with a disk that is not kept"):
            lab.power_on(machine, on_step=lambda _: None)
    finally:
        lab.power_off(machine)


@pytest.mark.board
def test_a_kept_disk_of_another_image_is_refused(emulated_pi: Target, own_lab: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.img"
    other.touch()
    ensure_kept_disk(tmp_path, other)
    with pytest.raises(BoardError, match="another version of the board") as caught:
        ensure_kept_disk(tmp_path, tmp_path / "image.img")
    assert caught.value.where == str(tmp_path / "disk.qcow2")


@pytest.mark.board
def test_the_command_line_keeps_a_disk_over_a_power_cut(emulated_pi: Target, own_lab: Path) -> None:
    try:
        shown = CliRunner().invoke(app, ["up", "--keep-disk", "--json"])
        assert json.loads(shown.stdout)["keeps_disk"] is True
        board = lab.status("emulated-pi")
        assert board is not None
        run(board, "echo kept > /root/file; sync")
        assert CliRunner().invoke(app, ["cut"]).stdout == "emulated-pi is down.\n"
        again = lab.up("emulated-pi", on_step=lambda _: None, keep_disk=True)
        assert run(again, "cat /root/file") == "kept\n"
    finally:
        lab.down("emulated-pi")


@pytest.mark.board
def test_two_ups_at_once_boot_one_machine(emulated_pi: Target, own_lab: Path) -> None:
    try:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda name: lab.up(name, on_step=lambda _: None), ["emulated-pi"] * 2)
        assert first == second
    finally:
        lab.down("emulated-pi")


@pytest.mark.board
def test_a_killed_board_boots_again_with_a_new_disk(own_board: lab.Board) -> None:
    run(own_board, "touch /root/left-behind; sync")
    os.kill(own_board.pid, signal.SIGKILL)
    wait_until(lambda: lab.status("emulated-pi") is None)
    again = lab.up("emulated-pi", on_step=lambda _: None)
    assert again.pid != own_board.pid
    assert run(again, "ls /root") == ""
    assert lab.down("emulated-pi") is True
    assert lab.down("emulated-pi") is False


@pytest.mark.board
def test_a_stranger_key_on_the_board_is_refused(own_board: lab.Board) -> None:
    stranger = paramiko.ECDSAKey.generate()
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(own_board.known_hosts_file))
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        with pytest.raises(paramiko.AuthenticationException):
            client.connect(
                "127.0.0.1", own_board.ssh_port, "root", pkey=stranger, allow_agent=False, look_for_keys=False
            )


@contextmanager
def ssh_client(board: lab.Board) -> Iterator[paramiko.SSHClient]:
    """Logged in to the board, whose host key must be the known one."""
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(board.known_hosts_file))
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(
            "127.0.0.1",
            board.ssh_port,
            "root",
            key_filename=str(board.identity_file),
            allow_agent=False,
            look_for_keys=False,
        )
        yield client


def run(board: lab.Board, command: str) -> str:
    """The output of a command on the board."""
    with ssh_client(board) as client:
        _, output, _ = client.exec_command(command, timeout=60)
        return output.read().decode()


def read_until(console: socket.socket, *marks: bytes) -> bytes:
    """What the console says up to the last of the marks, in this order."""
    said = b""
    for mark in marks:
        start = len(said)
        while mark not in said[start:]:
            part = console.recv(1)
            assert part, said
            said += part
    return said


def wait_until(condition: Callable[[], bool], timeout_s: float = 300.0) -> None:
    """Return as soon as it holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.02)
