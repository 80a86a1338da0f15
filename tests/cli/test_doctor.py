"""`deploy doctor`: every check in one table, an exit code that tells, and a report without names."""

import getpass
import json
import socket
from collections.abc import Callable
from pathlib import Path

from openssh import PLACE, Sshd, free_port
from workplace import Workplace, local_home, one_object

from toolkit.devices.releases.lock import locked

BOARD = (
    """
family = "host"
root = "{root}"
"""
    + PLACE
)


def test_a_board_that_is_right_is_told_so(place: Workplace) -> None:
    done = place.deploy("doctor", "--target", "desk", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = one_object(done.stdout)
    assert told["ok"] is True
    assert [each["name"] for each in told["checks"]][-3:] == ["our folder", "lock", "import of onnxruntime"]
    assert told["survey"]["machine"]


def test_a_table_for_people_and_a_report_for_us(place: Workplace) -> None:
    done = place.deploy("doctor", "--target", "desk", "--report", "board.json")
    assert done.returncode == 0, done.stderr
    assert "lock" in done.stdout
    assert json.loads((place.folder / "board.json").read_text())["target"] == "desk"


def test_a_board_in_use_fails_the_check_of_its_lock(place: Workplace) -> None:
    with locked(local_home(place)):
        done = place.deploy("doctor", "--target", "desk", "--json")
    assert done.returncode == 3
    last = one_object(done.stdout)["checks"][-1]
    assert (last["name"], last["ok"]) == ("lock", False)
    assert "at work" in last["found"]
    assert last["need"]


def test_a_board_that_does_not_answer_fails_the_login(place: Workplace, home: Path) -> None:
    (place.folder / "targets" / "off.toml").write_text(
        BOARD.format(root="~/x", port=free_port(), identity="id", known_hosts="known")
    )
    done = place.deploy("doctor", "--target", "off", "--json")
    assert done.returncode == 3
    [login] = one_object(done.stdout)["checks"]
    assert (login["name"], login["ok"]) == ("login", False)


def test_the_report_names_nobody(place: Workplace, start_sshd: Callable[..., Sshd], home: Path) -> None:
    sshd = start_sshd(known=False)
    where = {"port": sshd.port, "identity": sshd.identity, "known_hosts": sshd.known_hosts}
    (place.folder / "targets" / "mine.toml").write_text(BOARD.format(root="/home/jane/edge", **where))
    done = place.deploy("doctor", "--target", "mine", "--report", "sent.json")
    assert done.returncode == 3
    text = (place.folder / "sent.json").read_text()
    for private in ("127.0.0.1", "SHA256", "jane", str(sshd.identity), socket.gethostname()):
        assert private not in text
    assert getpass.getuser() in ("root", "pi") or getpass.getuser() not in text


def test_a_report_that_cannot_be_written_is_bad_input(place: Workplace) -> None:
    done = place.deploy("doctor", "--target", "desk", "--report", "no/such/folder/x.json")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert not place.root.exists()  # said before the board is met


def test_a_long_path_is_whole_in_the_table(place: Workplace) -> None:
    (place.root / "work").mkdir(parents=True)
    (place.root / "work" / "thesis.txt").touch()
    done = place.deploy("doctor", "--target", "desk")
    assert done.returncode == 3
    assert "not ours" in " ".join(done.stdout.split())
    assert "…" not in done.stdout
