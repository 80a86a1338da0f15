"""`deploy connect` to a console on a serial line: a shell, a login, and what is no terminal at all."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from consoles import Console
from workplace import Workplace, one_object, refusal

from toolkit.targets import SerialPlace, read_target

LOGIN = """
while :; do
  printf '\\nboard login: '; read -r user
  [ -n "$user" ] || continue
  stty -echo; printf 'Password: '; read -r password; stty echo; echo
  if [ "$user" = pi ] && [ "$password" = raspberry ]; then (export PS1='pi$ '; exec /bin/sh -i)
  else sleep 0.3; echo 'Login incorrect'; fi
done
"""


@pytest.fixture
def console(home: Path) -> Iterator[Callable[..., Console]]:
    started: list[Console] = []

    def start(*command: str, **options: Any) -> Console:
        started.append(Console(list(command), home, **options))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.mark.parametrize("tcp", [False, True])
def test_a_board_behind_a_console_becomes_a_target(
    place: Workplace, console: Callable[..., Console], tcp: bool
) -> None:
    board = console("/bin/sh", "-i", tcp=tcp)
    done = place.deploy("connect", board.name, "--name", "bench", "--json")
    assert one_object(done.stdout)["target"] == "bench", done.stderr
    assert read_target(place.folder / "targets" / "bench.toml").place == SerialPlace(device=board.name)


def test_a_console_that_asks_who_logs_in_is_told_by_options(
    place: Workplace, console: Callable[..., Console], tmp_path: Path
) -> None:
    board = console("/bin/sh", "-c", LOGIN)
    assert "user" in refusal(place.deploy("connect", board.name))
    (tmp_path / "password").write_text("raspberry\n")
    options = "--user", "pi", "--password-file", str(tmp_path / "password"), "--name", "bench", "--json"
    done = place.deploy("connect", board.name, *options)
    assert one_object(done.stdout)["ok"] is True, done.stderr
    place_of_it = read_target(place.folder / "targets" / "bench.toml").place
    assert place_of_it == SerialPlace(device=board.name, user="pi", password_file=str(tmp_path / "password"))
    (tmp_path / "password").write_text("wrong\n")
    for _ in range(2):
        assert "refuses" in refusal(place.deploy("connect", board.name, *options, "--force"))


def test_a_port_that_stays_silent_is_one_error(place: Workplace, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.devices.serial.login.PATIENCE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = place.deploy("connect", f"socket://127.0.0.1:{silent.getsockname()[1]}")
    assert done.returncode == 3
    assert "socket://" in refusal(done)
    assert [each.name for each in (place.folder / "targets").iterdir()] == ["desk.toml"]
