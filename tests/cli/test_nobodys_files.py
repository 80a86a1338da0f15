"""What only looks leaves no trace on a board, and what changes a board costs no file of the user's."""

from collections.abc import Callable
from pathlib import Path

import pytest
from openssh import PLACE, Sshd
from workplace import WHAT, Workplace, one_object, refusal

StartSshd = Callable[..., Sshd]
BOARD = (
    """
family = "generic-x86-64"
runtimes = ["onnxruntime"]
"""
    + PLACE
)


@pytest.fixture
def reached(place: Workplace, sshd: Sshd) -> Workplace:
    """A target `board` for a server whose user has the home folder `home`."""
    text = BOARD.format(port=sshd.port, identity=sshd.identity, known_hosts=sshd.known_hosts)
    (place.folder / "targets" / "board.toml").write_text(text)
    return place


@pytest.mark.parametrize("verb", ["status", "unlock", "rollback"])
def test_a_board_never_used_is_called_so_and_stays_so(reached: Workplace, home: Path, verb: str) -> None:
    before = sorted(home.iterdir())
    done = reached.deploy(verb, "--target", "board")
    assert sorted(home.iterdir()) == before
    said = refusal(done) if verb == "rollback" else done.stdout
    assert ("not locked" if verb == "unlock" else "ever") in said
    assert done.returncode == (3 if verb == "rollback" else 0)


def test_json_says_whether_a_board_was_ever_used(reached: Workplace, home: Path) -> None:
    found = one_object(reached.deploy("status", "--target", "board", "--json").stdout)
    assert found == {"target": "board", "deployed_to": False}


@pytest.mark.parametrize("verb", ["status", "unlock", "rollback"])
def test_a_bashrc_that_redirects_output_costs_no_file(reached: Workplace, home: Path, verb: str) -> None:
    (home / ".bashrc").write_text("exec >> ~/session.log\n")
    (home / "work").mkdir()
    (home / "work" / "thesis.txt").write_text("x")
    assert "hides output" in refusal(reached.deploy(verb, "--target", "board"))
    assert (home / "work" / "thesis.txt").read_text() == "x"
    assert sorted(path.name for path in home.iterdir()) == [".bashrc", "session.log", "work"]


@pytest.mark.parametrize("file", ["work/results.csv", "runner/mine.sh"])
def test_a_root_that_the_user_keeps_files_in_is_refused(place: Workplace, file: str) -> None:
    (place.root / file).parent.mkdir(parents=True)
    (place.root / file).write_text("mine")
    for arguments in (WHAT, ("status", "--target", "desk"), ("rollback", "--target", "desk")):
        assert "not ours" in refusal(place.deploy(*arguments))
    assert [path for path in place.root.rglob("*") if path.is_file()] == [place.root / file]
    assert (place.root / file).read_text() == "mine"
