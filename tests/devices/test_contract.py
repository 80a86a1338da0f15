"""What every transport promises; a new transport joins by one more parameter of the `device` fixture."""

import os
import pwd
import time
from pathlib import Path

import pytest

from toolkit.devices.device import Device, check
from toolkit.devices.local import LocalDevice
from toolkit.devices.streams import shell_path
from toolkit.errors import BoardError

ALL_BYTES = bytes(range(256))


def test_output_is_binary_safe(device: Device, tmp_path: Path) -> None:
    (tmp_path / "all").write_bytes(ALL_BYTES * 100)
    assert device.run(f"cat {tmp_path}/all").stdout == ALL_BYTES * 100


def test_stdout_and_stderr_stay_apart(device: Device) -> None:
    done = device.run("echo out; echo err >&2; echo out2; echo err2 >&2")
    assert (done.status, done.stdout, done.stderr) == (0, b"out\nout2\n", b"err\nerr2\n")


@pytest.mark.parametrize("status", [0, 1, 3, 127, 255])
def test_exit_status_is_exact(device: Device, status: int) -> None:
    assert device.run(f"exit {status}").status == status


def test_a_command_that_a_signal_ended_has_a_shells_status(device: Device) -> None:
    assert device.run("kill -9 $$").status == 137


def test_an_unknown_command_is_a_status_and_not_an_exception(device: Device) -> None:
    done = device.run("no-such-program --flag")
    assert done.status == 127
    assert b"not found" in done.stderr


def test_much_on_both_streams_does_not_deadlock(device: Device) -> None:
    megabytes = 4
    both = f"head -c {megabytes}000000 /dev/zero >&2; head -c {megabytes}000000 /dev/zero"
    done = device.run(both, timeout_s=60)
    assert len(done.stdout) == len(done.stderr) == megabytes * 10**6


def test_quotes_dollars_and_newlines_reach_the_shell_as_written(device: Device) -> None:
    done = device.run("""a='it'"'"'s'; printf '%s|%s\\n' "$a" '$b "c"'\nprintf 'naïve\\n'""")
    assert done.stdout == 'it\'s|$b "c"\nnaïve\n'.encode()


def test_stdin_is_empty(device: Device) -> None:
    assert device.run("cat; echo end", timeout_s=10).stdout == b"end\n"


def test_commands_start_in_the_home_folder(device: Device, home: Path) -> None:
    accounts = pwd.getpwuid(os.getuid()).pw_dir  # sshd goes there whatever the environment says
    expected = home if isinstance(device, LocalDevice) else accounts
    assert device.run("pwd").stdout == f"{expected}\n".encode()


def test_on_line_sees_lines_in_order_and_the_unfinished_last_one(device: Device) -> None:
    lines: list[bytes] = []
    done = device.run("seq 1 20000; printf '\\377 no newline'", on_line=lines.append)
    assert lines == [b"%d" % i for i in range(1, 20001)] + [b"\xff no newline"]
    assert done.stdout == b"\n".join(lines)


def test_on_line_sees_a_line_while_the_command_still_runs(device: Device, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def open_gate(line: bytes) -> None:
        if line == b"waiting":
            gate.touch()

    done = device.run(
        f"echo waiting; until [ -e {gate} ]; do sleep 0.05; done; echo opened",
        timeout_s=20,
        on_line=open_gate,
    )
    assert done.stdout == b"waiting\nopened\n"


def test_an_exception_from_on_line_ends_the_command(device: Device, tmp_path: Path) -> None:
    def interrupt(line: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        device.run(f"echo $$ > {tmp_path}/pid; echo go; sleep 1000", on_line=interrupt)
    assert_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("noise", ["", "while :; do echo y; done & "], ids=["silent", "noisy"])
def test_timeout_kills_the_command_and_its_children(device: Device, tmp_path: Path, noise: str) -> None:
    started = time.monotonic()
    with pytest.raises(BoardError, match=r"did not end within 1 s and was killed"):
        device.run(f"{noise}sleep 1000 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/shell; wait", timeout_s=1)
    assert time.monotonic() - started < 8
    assert_gone(int((tmp_path / "child").read_text()))
    assert_gone(int((tmp_path / "shell").read_text()))
    assert device.run("echo alive").stdout == b"alive\n"


def test_timeout_holds_for_a_command_that_closed_its_output(device: Device, tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="did not end"):
        device.run(f"echo $$ > {tmp_path}/pid; exec >&- 2>&-; sleep 1000", timeout_s=1)
    assert_gone(int((tmp_path / "pid").read_text()))


def test_20_mb_arrive_and_return_equal(device: Device, tmp_path: Path) -> None:
    data = os.urandom(20_000_000)
    (tmp_path / "sent").write_bytes(data)
    device.push(tmp_path / "sent", str(tmp_path / "on board"))
    device.pull(str(tmp_path / "on board"), tmp_path / "back")
    assert (tmp_path / "on board").read_bytes() == data
    assert (tmp_path / "back").read_bytes() == data


@pytest.mark.parametrize("size", [0, 1, 32768, 32769])
def test_small_files_arrive_and_return_equal(device: Device, tmp_path: Path, size: int) -> None:
    (tmp_path / "sent").write_bytes((ALL_BYTES * 200)[:size])
    device.push(tmp_path / "sent", str(tmp_path / "there"))
    device.pull(str(tmp_path / "there"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (ALL_BYTES * 200)[:size]


@pytest.mark.parametrize("name", ["with space", "it's", '"quoted"', "$HOME", "ünïcode", "-dash", "a\nb", "~tilde"])
def test_odd_names(device: Device, home: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "sent").write_bytes(b"odd")
    device.push(tmp_path / "sent", f"~/{name}")
    assert (home / name).read_bytes() == b"odd"
    assert device.run(f"cat -- {shell_path(f'~/{name}')}").stdout == b"odd"
    device.pull(f"~/{name}", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"odd"


def test_push_replaces_an_existing_file_and_leaves_nothing_else(device: Device, home: Path, tmp_path: Path) -> None:
    (home / "file").write_bytes(b"old and longer")
    (tmp_path / "sent").write_bytes(b"new")
    device.push(tmp_path / "sent", "~/file")
    assert (home / "file").read_bytes() == b"new"
    assert [path.name for path in home.iterdir()] == ["file"]


def test_pulling_a_missing_file_names_it_and_leaves_nothing(device: Device, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    with pytest.raises(BoardError, match=r"no such file: ~/absent\.bin"):
        device.pull("~/absent.bin", tmp_path / "here" / "back")
    assert list((tmp_path / "here").iterdir()) == []


def test_pushing_into_a_missing_folder_names_it(device: Device, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b"x")
    with pytest.raises(BoardError, match=r"no such folder: .*absent"):
        device.push(tmp_path / "sent", "~/absent/file")


def test_pushing_onto_a_folder_is_refused_and_leaves_nothing(device: Device, home: Path, tmp_path: Path) -> None:
    (home / "folder").mkdir()
    (tmp_path / "sent").write_bytes(b"x")
    with pytest.raises(BoardError):
        device.push(tmp_path / "sent", "~/folder")
    assert [path.name for path in home.iterdir()] == ["folder"]


def test_close_twice(device: Device) -> None:
    device.close()
    device.close()


def test_check_says_what_failed_and_the_last_line_of_stderr(device: Device) -> None:
    with pytest.raises(BoardError, match="unpacking failed with status 3: it broke") as caught:
        check(device.run("echo first >&2; echo it broke >&2; exit 3"), "unpacking", "the board")
    assert caught.value.where == "the board"


def assert_gone(pid: int) -> None:
    """Not running; a zombie that nobody has reaped yet counts as gone."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} still runs")
