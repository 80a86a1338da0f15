"""Boards whose Python is older than this machine's: they get the newest runtime that has wheels for it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from openssh import PLACE, Sshd
from workplace import FEW_STEPS, MODEL, TASK, Workplace, one_object

from toolkit.devices.wheels import pins_by_minor

BOARD = (
    """
name = "board"
summary = "an sshd of the tests"
arch = "any"
runtimes = ["onnxruntime", "executorch"]
python = "{python}"
[budget]
memory_fraction = 0.5
"""
    + PLACE
)


def interpreter(minor: int) -> Path:
    """A Python of that version on this machine, of pyenv or of the system."""
    root = Path(os.environ.get("PYENV_ROOT", "/root/.pyenv"))
    found = sorted(root.glob(f"versions/3.{minor}.*/bin/python3"))
    system = Path(f"/usr/bin/python3.{minor}")
    if not found and not system.exists():
        pytest.skip(f"NO PYTHON 3.{minor}: boards that have it are NOT tested; pyenv install 3.{minor}")
    return found[-1] if found else system


def write_target(place: Workplace, server: Sshd, python: Path) -> None:
    text = BOARD.format(python=python, port=server.port, identity=server.identity, known_hosts=server.known_hosts)
    (place.folder / "targets" / "board.toml").write_text(text)


@pytest.mark.board  # its wheels come over the network
@pytest.mark.parametrize("minor", [9, 10])
def test_a_board_with_an_older_python_serves_and_learns(
    place: Workplace, start_sshd: Callable[..., Sshd], minor: int
) -> None:
    python = interpreter(minor)
    write_target(place, start_sshd(), python)
    what = ("--target", "board", "--model", MODEL, "--task", TASK, *FEW_STEPS)
    done = place.deploy(*what, "--latency", "1s", "--size", "1MB", "--json")
    assert done.returncode == 0, done.stderr
    result = one_object(done.stdout)
    assert result["active"] is True
    assert result["runtime_version"] == pins_by_minor()[minor].onnxruntime
    planned = place.deploy("plan", *what, "--offline", "--latency", "1s", "--size", "1MB", "--json")
    assert planned.returncode == 0, planned.stderr
    assert one_object(planned.stdout)["runtime_version"] == result["runtime_version"]


@pytest.mark.board  # its wheels come over the network
def test_a_board_that_was_connected_is_deployed_to(
    place: Workplace, home: Path, start_sshd: Callable[..., Sshd]
) -> None:
    sshd = start_sshd(known=False)
    (home / ".ssh").mkdir()
    lines = "Host kitchen", " HostName 127.0.0.1", f" Port {sshd.port}", f" IdentityFile {sshd.identity}"
    (home / ".ssh" / "config").write_text("\n".join(lines) + f"\n UserKnownHostsFile {home}/.ssh/known_hosts\n")
    met = place.deploy("connect", "kitchen", "--yes", "--install-key")
    assert met.returncode == 0, met.stderr
    what = ("--target", "kitchen", "--model", MODEL, "--task", TASK, *FEW_STEPS)
    done = place.deploy(*what, "--latency", "1s", "--size", "1MB", "--json")
    assert done.returncode == 0, done.stderr
    assert one_object(done.stdout)["active"] is True
