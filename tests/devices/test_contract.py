"""What every transport promises. All is asked through the device itself: its files may be on another machine.

A new transport joins by one more entry of `transports.TRANSPORTS`.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from shlex import quote

import pytest
from gone import assert_gone
from transports import Transport

from toolkit.devices.device import Device, check
from toolkit.devices.streams import shell_path
from toolkit.errors import BoardError

ALL_BYTES = bytes(range(256))
ODD_NAMES = ["with space", "it's", '"quoted"', "$HOME", "`id`", "ünïcode", "-dash", "a\nb", "~tilde", "star*"]


@pytest.fixture
def put(device: Device, there: str, tmp_path: Path) -> Callable[[bytes, str], str]:
    """Pushes bytes as a file of that name in the test's folder on the board; returns its path there."""

    def put(data: bytes, name: str) -> str:
        (tmp_path / "sent").write_bytes(data)
        device.push(tmp_path / "sent", f"{there}/{name}")
        return f"{there}/{name}"

    return put


@pytest.fixture
def get(device: Device, tmp_path: Path) -> Callable[[str], bytes]:
    """Pulls a file's bytes."""

    def get(remote: str) -> bytes:
        device.pull(remote, tmp_path / "back")
        return (tmp_path / "back").read_bytes()

    return get


Put = Callable[[bytes, str], str]
Get = Callable[[str], bytes]


def test_output_is_binary_safe(device: Device, put: Put) -> None:
    path = put(ALL_BYTES * 100, "all")
    assert device.run(f"cat {quote(path)}").stdout == ALL_BYTES * 100


@pytest.mark.parametrize("output", [b"", b"\n", b"\n\n", b" ", b"no newline", b"\r\n\r", b"\x00", b"$ ", b"# \n"])
def test_short_output_is_exact(device: Device, output: bytes) -> None:
    octal = "".join(f"\\{byte:03o}" for byte in output)
    assert device.run(f"printf '{octal}'").stdout == output


def test_stdout_and_stderr_stay_apart(device: Device, transport: Transport) -> None:
    if not transport.stderr_apart:
        pytest.skip("this transport cannot tell stderr from stdout")
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
    assert b"not found" in done.stdout + done.stderr


def test_a_command_that_is_no_shell_syntax_is_a_status_and_does_no_harm(device: Device) -> None:
    for broken in ("echo 'open", "if true", ") done", "echo )"):
        assert device.run(broken).status != 0
    assert device.run("echo alive").stdout == b"alive\n"


def test_much_on_both_streams_does_not_deadlock(device: Device, transport: Transport) -> None:
    size = transport.large_bytes // 5
    done = device.run(f"head -c {size} /dev/zero >&2; head -c {size} /dev/zero", timeout_s=300)
    assert len(done.stdout) + len(done.stderr) == 2 * size
    assert len(done.stderr) == size or not transport.stderr_apart


def test_a_huge_stdout_arrives_whole(device: Device, transport: Transport) -> None:
    done = device.run(f"head -c {transport.large_bytes} /dev/zero | tr '\\000' '\\377'", timeout_s=300)
    assert done.stdout == b"\xff" * transport.large_bytes


def test_quotes_dollars_and_newlines_reach_the_shell_as_written(device: Device) -> None:
    done = device.run("""a='it'"'"'s'; printf '%s|%s\\n' "$a" '$b "c"'\nprintf 'naïve\\n'""")
    assert done.stdout == 'it\'s|$b "c"\nnaïve\n'.encode()


def test_a_long_command_arrives_whole(device: Device) -> None:
    text = secrets.token_hex(10_000)
    assert device.run(f"printf %s {text}").stdout == text.encode()


def test_commands_share_nothing(device: Device) -> None:
    device.run("cd /; leaked=1; export leaked; umask 777; set -e; exec 2>&1")
    assert device.run('echo "${leaked-none}"; false; echo on').stdout == b"none\non\n"


def test_stdin_is_empty(device: Device) -> None:
    assert device.run("cat; echo end", timeout_s=300).stdout == b"end\n"


def test_commands_start_in_the_home_folder(device: Device) -> None:
    # sshd takes the account's home folder, whatever HOME says
    homes = device.run('cd && pwd; eval "cd ~$(id -un)" && pwd').stdout.splitlines()
    assert device.run("pwd").stdout.rstrip(b"\n") in homes


def test_on_line_sees_lines_in_order_and_the_unfinished_last_one(device: Device) -> None:
    lines: list[bytes] = []
    done = device.run("seq 1 5000; printf '\\377 no newline'", on_line=lines.append)
    assert lines == [b"%d" % i for i in range(1, 5001)] + [b"\xff no newline"]
    assert done.stdout == b"\n".join(lines)


def test_a_line_is_seen_while_its_command_runs_and_an_exception_ends_that(device: Device, there: str) -> None:
    def interrupt(line: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        device.run(f"cd {quote(there)}; echo $$ > pid; echo go; sleep 1000", on_line=interrupt)
    assert_gone(device, f"{there}/pid")
    assert device.run("echo alive").stdout == b"alive\n"


@pytest.mark.parametrize("noise", ["", "while :; do echo y; done & "], ids=["silent", "noisy"])
def test_timeout_kills_the_command_and_its_children(
    device: Device, transport: Transport, there: str, noise: str
) -> None:
    never_ends = f"{noise}sleep 1000 & echo $! > child; echo $$ > shell; wait"
    killed_at_its_deadline(device, transport, there, never_ends, "shell")
    assert_gone(device, f"{there}/child")
    assert_gone(device, f"{there}/shell")
    assert device.run("echo alive").stdout == b"alive\n"


def test_timeout_holds_for_a_command_that_closed_its_output(device: Device, transport: Transport, there: str) -> None:
    killed_at_its_deadline(device, transport, there, "echo $$ > pid; exec >&- 2>&-; sleep 1000", "pid")
    assert_gone(device, f"{there}/pid")


def killed_at_its_deadline(device: Device, transport: Transport, there: str, command: str, last: str) -> None:
    """Run what never ends in that folder, with more time where a busy machine did not even come to write `last`."""
    for patience in (1, 5, 25):
        with pytest.raises(BoardError, match=r"did not end within \d+ s and was killed"):
            device.run(f"cd {quote(there)}; {command}", timeout_s=patience * transport.timeout_s)
        if device.run(f"cat {quote(there)}/{last}").stdout:
            return
    pytest.fail(f"{last} was not written")


def test_a_large_file_arrives_and_returns_equal(device: Device, transport: Transport, put: Put, get: Get) -> None:
    data = os.urandom(transport.large_bytes)
    path = put(data, "on board")
    assert int(device.run(f"wc -c < {quote(path)}").stdout) == len(data)
    assert get(path) == data


@pytest.mark.parametrize("size", [0, 1, 32768, 32769])
def test_small_files_arrive_and_return_equal(device: Device, put: Put, get: Get, size: int) -> None:
    data = (ALL_BYTES * 200)[:size]
    assert get(put(data, "small")) == data


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(device: Device, put: Put, get: Get, name: str) -> None:
    path = put(b"odd", name)
    assert device.run(f"cat -- {quote(path)}").stdout == b"odd"
    assert get(path) == b"odd"


def test_a_path_may_start_at_the_home_folder(device: Device, tmp_path: Path, get: Get) -> None:
    path = f"~/it's a contract {secrets.token_hex(4)}"
    (tmp_path / "sent").write_bytes(b"home")
    device.push(tmp_path / "sent", path)
    try:
        assert device.run(f"cd && cat {quote(path.removeprefix('~/'))}").stdout == b"home"
        assert get(path) == b"home"
    finally:
        device.run(f"rm {shell_path(path)}")


def test_push_replaces_an_existing_file_and_leaves_nothing_else(device: Device, there: str, put: Put) -> None:
    put(b"old and longer", "file")
    path = put(b"new", "file")
    assert device.run(f"cat {quote(path)}").stdout == b"new"
    assert names(device, there) == ["file"]


def test_pull_replaces_an_existing_file(put: Put, get: Get) -> None:
    assert get(put(b"old and longer", "file")) == b"old and longer"
    assert get(put(b"new", "file")) == b"new"


def test_pulling_a_missing_file_names_it_and_leaves_nothing(device: Device, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    with pytest.raises(BoardError, match=r"no such file: ~/absent\.bin"):
        device.pull("~/absent.bin", tmp_path / "here" / "back")
    assert list((tmp_path / "here").iterdir()) == []


def test_pushing_into_a_missing_folder_names_it(device: Device, there: str, put: Put) -> None:
    with pytest.raises(BoardError, match=r"no such folder: .*absent"):
        put(b"x", "absent/file")
    assert names(device, there) == []


def test_pushing_into_a_folder_that_none_may_write_to_says_so(device: Device, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b"x")
    with pytest.raises(BoardError, match=r"(?i)permission denied|read-only|not permitted|may not write"):
        device.push(tmp_path / "sent", "/sys/file")  # no file can be made in sysfs, not even by root


def test_pushing_onto_a_folder_is_refused_and_leaves_nothing(device: Device, there: str, put: Put) -> None:
    device.run(f"mkdir {quote(there)}/folder")
    with pytest.raises(BoardError):
        put(b"x", "folder")
    assert names(device, there) == ["folder"]
    assert names(device, f"{there}/folder") == []


def test_a_full_disk_says_how_much_is_missing_and_keeps_the_old_file(
    device: Device, small_disk_there: str, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    new.write_bytes(os.urandom(200_000))
    device.push(old, f"{small_disk_there}/file")
    with pytest.raises(BoardError, match=r"disk full: .* needs 200 kB, .*B are free") as caught:
        device.push(new, f"{small_disk_there}/file")
    assert "Make room" in str(caught.value.next)
    assert names(device, small_disk_there) == ["file"]
    assert device.run(f"cat {quote(small_disk_there)}/file").stdout == b"old"


def test_close_twice_and_the_next_call_opens_anew(device: Device) -> None:
    device.close()
    device.close()
    assert device.run("echo back").stdout == b"back\n"


def test_check_says_what_failed_and_the_last_line_of_stderr(device: Device, transport: Transport) -> None:
    said = ": it broke" if transport.stderr_apart else ""
    with pytest.raises(BoardError, match=f"unpacking failed with status 3{said}") as caught:
        check(device.run("echo first >&2; echo it broke >&2; exit 3"), "unpacking", "the board")
    assert caught.value.where == "the board"


def names(device: Device, folder: str) -> list[str]:
    """What a folder on the board holds, hidden names too."""
    return device.run(f"ls -A {quote(folder)}").stdout.decode().splitlines()
