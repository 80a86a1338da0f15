"""A bad serial line: noise, kernel messages, lost bytes, a plug pulled. What arrives is right, or one clear error."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from consoles import Console, Noise

from toolkit.devices.serial import SerialDevice
from toolkit.errors import BoardError

pytestmark = pytest.mark.slow  # a line takes its time, and a spoiled one more

# How much is sent over a line with this fault: a byte lost or added costs a wait too, damage only the piece again.
SIZES = {"damaged": 1_000_000, "dropped": 300_000, "messages": 300_000}


@pytest.fixture
def console(home: Path) -> Iterator[Callable[..., Console]]:
    """Starts consoles, a plain shell if nothing else is said."""
    started: list[Console] = []

    def start(command: tuple[str, ...] = ("/bin/sh", "-i"), **options: Any) -> Console:
        started.append(Console(list(command), home, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def spoil(console: Console, **shares: float) -> tuple[Noise, Noise]:
    """From now on, both ways."""
    to_board, to_host = Noise(1, **shares), Noise(2, **shares)
    console.to_board, console.to_host = to_board, to_host
    return to_board, to_host


def clean(console: Console) -> None:
    console.to_board = console.to_host = bytes


@pytest.mark.parametrize(("fault", "size"), SIZES.items())
def test_a_file_arrives_intact_over_a_line_that_spoils_one_line_in_a_hundred(
    console: Callable[..., Console], tmp_path: Path, fault: str, size: int
) -> None:
    bench = console()
    device = SerialDevice(bench.target())
    data = os.urandom(size)
    (tmp_path / "sent").write_bytes(data)
    noises = spoil(bench, **{fault: 0.01})
    device.push(tmp_path / "sent", str(tmp_path / "there"))
    device.pull(str(tmp_path / "there"), tmp_path / "back")
    clean(bench)
    assert min(noise.spoiled for noise in noises) > 50
    assert (tmp_path / "there").read_bytes() == data
    assert (tmp_path / "back").read_bytes() == data
    assert not list(tmp_path.glob(".*.part"))
    device.close()


def test_commands_are_exact_over_a_bad_line(console: Callable[..., Console]) -> None:
    bench = console()
    device = SerialDevice(bench.target())
    noises = spoil(bench, damaged=0.01, dropped=0.01, messages=0.05)
    lines: list[bytes] = []
    for status in range(12):
        done = device.run(f"echo {status}; echo no >&2; exit {status}")
        assert (done.status, done.stdout, done.stderr) == (status, b"%d\n" % status, b"no\n")
    done = device.run("seq 1 20000", on_line=lines.append)
    assert done.stdout == b"".join(b"%d\n" % number for number in range(1, 20001))
    assert lines == done.stdout.splitlines()
    assert sum(noise.spoiled for noise in noises) > 10
    clean(bench)
    device.close()


def test_a_login_over_a_bad_line(console: Callable[..., Console]) -> None:
    bench = console()
    spoil(bench, damaged=0.01, messages=0.02)
    device = SerialDevice(bench.target())
    assert device.run("echo here").stdout == b"here\n"
    clean(bench)
    device.close()


def test_nothing_but_garbage_is_one_clear_error(console: Callable[..., Console]) -> None:
    bench = console()
    device = SerialDevice(bench.target())
    spoil(bench, damaged=1.0)
    with pytest.raises(BoardError, match="garbles or loses everything") as caught:
        device.run("true")
    assert "Check cable" in str(caught.value.next)
    clean(bench)
    assert device.run("echo well again").stdout == b"well again\n"


def test_a_pulled_plug_is_one_clear_error_and_the_next_call_opens_anew(
    console: Callable[..., Console], tmp_path: Path
) -> None:
    bench = console(tcp=True)
    device = SerialDevice(bench.target())
    with pytest.raises(BoardError, match="the line dropped"):
        device.run("echo go; sleep 1234.5", on_line=lambda _: bench.cut())
    assert device.run("echo again").stdout == b"again\n"
    assert "sleep 1234.5" not in os.popen("ps -eo args").read()  # which no other test starts beside this one
    device.close()


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_plug_pulled_amid_a_push_leaves_the_old_file(
    console: Callable[..., Console], tmp_path: Path, share: float
) -> None:
    bench = console(tcp=True)
    device = SerialDevice(bench.target())
    (tmp_path / "sent").write_bytes(os.urandom(300_000))
    (tmp_path / "there").write_bytes(b"old")
    bench.cut_at = bench.sent + int(share * 400_000)  # as base64
    with pytest.raises(BoardError, match="the line dropped"):
        device.push(tmp_path / "sent", str(tmp_path / "there"))
    assert (tmp_path / "there").read_bytes() == b"old"
    device.push(tmp_path / "sent", str(tmp_path / "there"))
    assert (tmp_path / "there").read_bytes() == (tmp_path / "sent").read_bytes()
    assert not list(tmp_path.glob(".*.part"))
    device.close()


def test_most_of_what_a_line_carries_is_payload(console: Callable[..., Console], tmp_path: Path) -> None:
    """Of four bytes on the line, at best three are the file's, as base64; at least six tenths of that are."""
    bench = console()
    device = SerialDevice(bench.target())
    (tmp_path / "sent").write_bytes(os.urandom(80_000))
    sent, said = bench.sent, bench.said
    device.push(tmp_path / "sent", str(tmp_path / "there"))
    pushed = bench.sent
    device.pull(str(tmp_path / "there"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "sent").read_bytes()
    assert 80_000 / (pushed - sent) >= 0.6 * 3 / 4
    assert 80_000 / (bench.said - said) >= 0.6 * 3 / 4
    device.close()


def board_with(tmp_path: Path, *tools: str) -> str:
    """A folder of programs to be all that the board has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "cksum", "dd", "cat", "rm", "mv", "mkdir", "wc", "grep", "df", "sleep", "seq", *tools):
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    return str(folder)


@pytest.mark.parametrize(
    "tools",
    [("base64", "stty"), ("od", "stty", "head"), ("base64",), ("od",)],
    ids=["no head", "octal", "no stty", "octal, no stty"],
)
def test_a_board_with_few_programs(console: Callable[..., Console], tmp_path: Path, tools: tuple[str, ...]) -> None:
    bench = console(path=board_with(tmp_path, *tools))
    device = SerialDevice(bench.target())
    data = bytes(range(256)) * 100
    (tmp_path / "sent").write_bytes(data)
    device.push(tmp_path / "sent", str(tmp_path / "there"))
    assert (tmp_path / "there").read_bytes() == data
    device.pull(str(tmp_path / "there"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    long = "x" * 9000
    done = device.run(f"echo {long}; echo err >&2; exit 5")
    assert (done.status, done.stdout, done.stderr) == (5, f"{long}\n".encode(), b"err\n")
    with pytest.raises(BoardError, match="was killed"):
        device.run("sleep 1000", timeout_s=1)
    device.close()


def test_a_board_with_neither_base64_nor_od_says_so(console: Callable[..., Console], tmp_path: Path) -> None:
    bench = console(path=board_with(tmp_path, "stty"))
    with pytest.raises(BoardError, match="the board has neither base64 nor od") as caught:
        SerialDevice(bench.target())
    assert "busybox" in str(caught.value.next)
