"""Boards whose login shell talks, swallows, is another or is none: answers are right, or the error says which it is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from gone import assert_gone
from openssh import Sshd

from toolkit.devices import connect, open_home
from toolkit.devices.device import Device
from toolkit.errors import BoardError

StartSshd = Callable[..., Sshd]


def login(start_sshd: StartSshd, program: str | None = None) -> Device:
    """A board whose user has that login shell, or bash, which reads ~/.bashrc for commands over ssh."""
    shell = shutil.which(program or "bash", path="/bin:/usr/bin:/sbin:/usr/sbin")
    if shell is None:
        pytest.skip(f"NO {program}: it is NOT tested as a login shell; apt-get install {program}")
    return connect(start_sshd(shell=shell).target())


def assert_answers(device: Device, home: Path) -> None:
    """Quotes, newlines, here documents, both streams, status and lines, as a plain board gives them."""
    lines: list[bytes] = []
    command = "cat <<'END'\nit's ! \\ \"ü\" $x `y`\nEND\necho err >&2; printf %s 'no end'; exit 7"
    done = device.run(command, on_line=lines.append)
    assert (done.status, done.stderr) == (7, b"err\n")
    assert done.stdout == 'it\'s ! \\ "ü" $x `y`\nno end'.encode()
    assert lines == done.stdout.splitlines()
    assert device.run("pwd").stdout == f"{home}\n".encode()
    text = "it's long " * 5000
    assert device.run(f"wc -c <<'END'\n{text}\nEND").stdout.strip() == str(len(text) + 1).encode()


@pytest.mark.parametrize("program", ["bash", "dash", "tcsh", "fish"])
def test_any_login_shell_runs_our_commands(start_sshd: StartSshd, home: Path, program: str) -> None:
    device = login(start_sshd, program)
    assert_answers(device, home)
    device.close()


@pytest.mark.parametrize(
    "bashrc",
    [
        "echo Welcome to my Jetson!; echo 'mind the fan' >&2",
        "printf 'no newline'",
        "cd /",
        "exec fish",
        "exec dash",
        "exec tcsh",
        "unset HOME PATH",
        "alias printf=true; set -e -u -o pipefail",
        "seq 1 5000",
    ],
)
def test_whatever_a_bashrc_does_besides_answers_are_right(start_sshd: StartSshd, home: Path, bashrc: str) -> None:
    if bashrc.startswith("exec ") and shutil.which(bashrc[5:]) is None:
        pytest.skip(f"NO {bashrc[5:]}: it is NOT tested as a login shell; apt-get install {bashrc[5:]}")
    (home / ".bashrc").write_text(bashrc + "\n")
    device = login(start_sshd)
    if "HOME" in bashrc:
        assert device.run("echo in").stdout == b"in\n"
    else:
        assert_answers(device, home)
    device.close()


@pytest.mark.parametrize(
    ("bashrc", "word"),
    [
        ("exec >> ~/session.log", "hides output"),
        ("exec > /dev/null 2>&1", "hides output"),
        ("echo hi; exec > /dev/null", "hides output"),
        ("exec 2>&1", "mixes"),
        ("echo Only for members.; exit 0", "Only for members"),
        ("exit 4", "status 4"),
    ],
)
def test_a_shell_that_gives_no_answer_is_named(start_sshd: StartSshd, home: Path, bashrc: str, word: str) -> None:
    (home / ".bashrc").write_text(bashrc + "\n")
    device = login(start_sshd)
    with pytest.raises(BoardError, match=word) as caught:
        device.run("echo in")
    assert caught.value.where
    assert ".bashrc" in str(caught.value.next)
    device.close()


@pytest.mark.parametrize(("program", "word"), [("nologin", "not available"), ("false", "status 1")])
def test_an_account_without_a_shell_is_named(start_sshd: StartSshd, home: Path, program: str, word: str) -> None:
    device = login(start_sshd, program)
    with pytest.raises(BoardError, match=word) as caught:
        device.run("echo in")
    assert "login shell" in str(caught.value.next)
    device.close()


def test_what_was_started_by_any_shell_is_killed_at_its_deadline(start_sshd: StartSshd, home: Path) -> None:
    (home / ".bashrc").write_text("exec dash\n")
    device = login(start_sshd)
    with pytest.raises(BoardError, match=r"did not end within .* killed: echo \$\$ >pid; sleep") as caught:
        device.run("echo $$ >pid; sleep 1000", timeout_s=5)
    assert "printf" not in str(caught.value)
    assert_gone(device, "pid")
    device.close()


def test_a_bashrc_that_swallows_output_costs_no_file(start_sshd: StartSshd, home: Path) -> None:
    (home / ".bashrc").write_text("exec >> ~/session.log\n")
    (home / "work").mkdir()
    (home / "work" / "thesis.txt").write_text("x")
    server = start_sshd(shell=shutil.which("bash"))
    with pytest.raises(BoardError, match="hides output"):
        open_home(connect(server.target()), server.target())
    assert sorted(path.name for path in home.iterdir()) == [".bashrc", "session.log", "work"]
    assert (home / "work" / "thesis.txt").read_text() == "x"
