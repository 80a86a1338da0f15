"""What a console may show when one comes to it, and each reason why there is no way in, in one line."""

import fcntl
import os
import pty
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from boards import board_at
from consoles import Console

from toolkit.devices.serial import SerialDevice
from toolkit.errors import BoardError
from toolkit.targets import Target

GETTY = """
while :; do
  printf '\\nemulated login: '; read -r user
  [ -n "$user" ] || continue
  stty -echo; printf 'Password: '; read -r password; stty echo; echo
  if [ "$user" = pi ] && [ "$password" = 'raspberry $1' ]; then
    echo "Last login: today"; (export PS1='pi$ '; exec /bin/sh -i)
  else
    sleep 0.3; echo 'Login incorrect'
  fi
done
"""


@pytest.fixture
def console(home: Path) -> Iterator[Callable[..., Console]]:
    """Starts a script of a shell on a console."""
    started: list[Console] = []

    def start(script: str, **options: Any) -> Console:
        started.append(Console(["/bin/sh", "-c", script], home, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def password(tmp_path: Path) -> str:
    (tmp_path / "password").write_text("raspberry $1\nmore\n")
    return str(tmp_path / "password")


def works(target: Target) -> None:
    device = SerialDevice(target)
    assert device.run("echo in").stdout == b"in\n"
    device.close()


def refused(target: Target) -> BoardError:
    with pytest.raises(BoardError) as caught:
        SerialDevice(target)
    assert len(str(caught.value).splitlines()) <= 2
    return caught.value


def test_a_login_prompt_and_the_logout_after_it(console: Callable[..., Console], password: str) -> None:
    bench = console(GETTY)
    works(bench.target(user="pi", password_file=password))
    time.sleep(0.5)
    works(bench.target(user="pi", password_file=password))  # the first one has logged out
    assert "asks who logs in" in refused(bench.target()).what


def test_a_name_already_asked_for_its_password(console: Callable[..., Console], password: str) -> None:
    bench = console(f"printf 'Password: '; read -r x; echo Login incorrect; {GETTY}")
    works(bench.target(user="pi", password_file=password))


def test_a_wrong_password(console: Callable[..., Console], tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong\n")
    error = refused(console(GETTY).target(user="pi", password_file=str(tmp_path / "wrong")))
    assert error.what == "the board refuses user 'pi' with this password"
    assert "password_file" in str(error.next)


def test_no_password_where_one_is_asked_for(console: Callable[..., Console]) -> None:
    error = refused(console(GETTY).target(user="pi"))
    assert error.what == "the console asks for the password of 'pi'"


def test_a_password_file_that_cannot_be_read(tmp_path: Path) -> None:
    place = {"transport": "serial", "device": "loop://", "password_file": str(tmp_path / "none")}
    assert refused(board_at(place)).what == "cannot read the password file: No such file or directory"


@pytest.mark.parametrize(
    ("shell", "typed"),
    [
        ("/bin/sh", b"echo half a li"),
        ("/bin/bash", b"echo half a li"),
        ("/bin/sh", b"cat\n"),
        ("/bin/bash", b"cat\n"),
        ("/bin/sh", b"echo 'an open quotation\n"),
        pytest.param("/bin/bash", b"echo 'an open quotation\n", marks=pytest.mark.slow),
        pytest.param("/bin/sh", b"for i in 1 2; do\n", marks=pytest.mark.slow),
        ("/bin/bash", b"for i in 1 2; do\n"),
    ],
    ids=repr,
)
def test_what_others_have_left_on_the_line(home: Path, shell: str, typed: bytes) -> None:
    bench = Console([shell, "-i"], home)
    with open(bench.name, "wb", buffering=0) as line:  # noqa: PTH123
        line.write(typed)
        time.sleep(0.2)
    works(bench.target())
    bench.close()


def test_a_shell_that_is_left_open_stays_open_and_has_its_terminal_back(home: Path) -> None:
    bench = Console(["/bin/sh", "-i"], home)
    works(bench.target())
    works(bench.target())
    assert bench.program.poll() is None
    bench.close()


def test_boot_messages_are_waited_for(console: Callable[..., Console], password: str) -> None:
    boot = 'for i in 1 2 3 4 5 6 7 8 9; do echo "[    $i.000000] starting $i"; sleep 0.3; done;'
    works(console(boot + GETTY).target(user="pi", password_file=password))


@pytest.mark.slow  # it waits for a line that says nothing
def test_a_program_that_owns_the_console(console: Callable[..., Console]) -> None:
    error = refused(
        console("stty raw -echo; trap '' INT; while :; do printf 'level 4\\r\\n'; sleep 0.7; done").target()
    )
    assert "a program owns the console" in error.what
    assert "level 4" in error.what


def test_a_boot_loaders_prompt(console: Callable[..., Console]) -> None:
    assert (
        refused(console("while printf '=> '; do read -r x; done").target()).what == "the console is in the boot loader"
    )


@pytest.mark.slow  # it waits for a line that says nothing
def test_a_line_that_only_echoes() -> None:
    assert "found no prompt" in refused(board_at({"transport": "serial", "device": "loop://"})).what


@pytest.mark.slow  # it waits for a line that says nothing
def test_a_dead_line(console: Callable[..., Console]) -> None:
    error = refused(console("stty raw -echo; sleep 1000").target())
    assert error.what == "nothing answers on the line"
    assert "baud" in str(error.next)


@pytest.mark.slow  # it waits for a line that says nothing
def test_a_line_of_another_speed(console: Callable[..., Console]) -> None:
    bench = console("exec /bin/sh -i", to_host=lambda data: data.translate(bytes([*range(128, 256)] * 2)))
    assert refused(bench.target()).what == "what comes is no text"


def unopened(name: str) -> BoardError:
    return refused(board_at({"transport": "serial", "device": name}))


def test_a_device_that_is_not_there() -> None:
    error = unopened("/dev/ttyUSB99")
    assert (error.what, error.where) == ("no such device", "target bench (/dev/ttyUSB99)")


def test_a_port_that_nobody_serves() -> None:
    assert "Connection refused" in unopened("socket://127.0.0.1:1").what


def test_an_address_of_no_known_kind() -> None:
    assert "cannot open it" in unopened("carrier-pigeon://roof").what


def test_a_console_that_another_program_has_open() -> None:
    master, slave = pty.openpty()
    fcntl.flock(slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
    error = unopened(os.ttyname(slave))
    assert error.what == "busy: another program has it open"
    assert "fuser" in str(error.next)
    os.close(master)
    os.close(slave)


def test_a_console_of_a_group_that_the_user_is_not_in() -> None:
    """As /dev/ttyUSB0 is for a new user. Root may open all, so somebody else tries, in a process of their own."""
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    os.chmod(name, 0o600)  # noqa: PTH101
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:
            os.setuid(65534)
        else:
            os.chmod(name, 0)  # noqa: PTH101
        try:
            error = unopened(name)
            os.write(writing, f"{error.what}|{error.next}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        what, _, next_step = pipe.read().partition("|")
    os.waitpid(child, 0)
    assert what == "permission denied"
    assert "dialout" in next_step
    os.close(master)
    os.close(slave)
