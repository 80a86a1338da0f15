"""A board learns from further examples, and unlearns them."""

from pathlib import Path

import numpy as np
import pytest
from serving import blobs, learned, left_of_learning, unlearn
from workplace import Workplace, copy_workplace, one_object, refusal


@pytest.fixture
def served(deployed_place: Workplace, tmp_path: Path) -> Workplace:
    """A board that serves a release and has learned nothing, and examples of its three blobs in `more.npz`."""
    place = copy_workplace(deployed_place, tmp_path / "copy")
    unlearn(place)
    x, y = blobs()
    np.savez(place.folder / "more.npz", x=x, y=y)
    return place


def test_what_was_learned_is_served_and_undone_step_by_step(served: Workplace) -> None:
    asked = "adapt", "--target", "desk", "--support", "more.npz", "--json", "--steps", "30"
    first = served.deploy(*asked)
    assert first.returncode == 0, first.stderr
    told = one_object(first.stdout)
    assert (told["examples"], told["measure"]) == (24, "accuracy")
    assert 0 < told["steps"] <= 30
    assert told["accepted"], told
    assert told["held_out"]["loss_after"] < told["held_out"]["loss_before"]
    state = learned(served)
    assert state is not None
    second = one_object(served.deploy(*asked[:-1], "10").stdout)
    assert second["accepted"]
    assert learned(served) not in (None, state)
    undone = served.deploy("adapt", "--target", "desk", "--undo")
    assert "with what it had learned before" in " ".join(undone.stdout.split())
    assert learned(served) == state
    again = served.deploy("adapt", "--target", "desk", "--undo")
    assert again.returncode == 2
    assert "nothing to undo" in refusal(again)
    assert learned(served) == state
    assert served.left_behind() == []


def test_the_first_learning_is_undone_to_the_release_as_it_was_installed(served: Workplace) -> None:
    done = served.deploy("adapt", "--target", "desk", "--support", "more.npz", "--steps", "30")
    assert "learned from 24 examples" in " ".join(done.stdout.split())
    assert learned(served) is not None
    undone = one_object(served.deploy("adapt", "--target", "desk", "--undo", "--json").stdout)
    assert not undone["adapted"]
    assert learned(served) is None
    assert left_of_learning(served) == []


def test_it_learns_as_much_as_the_seconds_allow(served: Workplace) -> None:
    """Fewer steps than were asked for, of which the best held-out one counts: that is well inside the time."""
    asked = "adapt", "--target", "desk", "--support", "more.npz", "--json", "--steps", "1000000", "--seconds", "3"
    told = one_object(served.deploy(*asked).stdout)
    assert told["steps"] < 1_000_000
    # A busy machine has no time for more than a round or two, of which nothing is learned.
    assert told["accepted"] or "time was up" in told["reason"] or "not predicted better" in told["reason"]
    assert served.deploy(*asked[:-1], "nan").returncode == 2
    for seconds in ("inf", "1e9"):
        done = served.deploy(*asked[:-1], seconds)
        assert (done.returncode, "is more than 86400" in refusal(done)) == (2, True), done.stderr


def test_what_may_be_forgotten_is_a_share_and_of_a_release_that_can_tell(served: Workplace) -> None:
    """This one was made of a task without general data."""
    asked = "adapt", "--target", "desk", "--support", "more.npz", "--max-forgetting"
    for share in ("101%", "nan", "a little"):
        assert "is no share" in refusal(served.deploy(*asked, share))
    assert "carries no examples of what its network knew before" in refusal(served.deploy(*asked, "1%"))
    assert learned(served) is None


def test_it_learns_by_the_method_that_is_asked_for(served: Workplace) -> None:
    """A head made anew is that of the examples, whose names are turned round, and takes no step."""
    x, y = blobs()
    np.savez(served.folder / "turned.npz", x=x, y=np.roll(y, 8))
    asked = "adapt", "--target", "desk", "--support", "turned.npz", "--method"
    done = served.deploy(*asked, "prototype")
    assert "by a head made anew of them" in " ".join(done.stdout.split()), done.stderr
    told = one_object(served.deploy(*asked, "prototype", "--json").stdout)
    assert (told["method"], told["steps"], told["accepted"]) == ("prototype", 0, True)
    assert one_object(served.deploy(*asked, "head", "--json", "--steps", "5").stdout)["method"] == "head"
    assert served.deploy(*asked, "fastest").returncode == 2


def test_it_learns_in_as_much_memory_as_it_may_take_or_not_at_all(served: Workplace) -> None:
    asked = "adapt", "--target", "desk", "--support", "more.npz", "--json", "--memory"
    told = one_object(served.deploy(*asked, "1MB").stdout)
    assert not told["accepted"]
    assert "MB of memory, and may take 1.0" in told["reason"]
    assert learned(served) is None
    assert "--memory" in refusal(served.deploy(*asked, "little"))


def test_examples_that_stay_on_the_board(served: Workplace, tmp_path: Path) -> None:
    """This machine is the board, so that its files are the board's; they are read as an application's are."""
    x, y = blobs()
    np.savez(tmp_path / "there.npz", x=x, y=y)
    asked = "adapt", "--target", "desk", "--json", "--steps", "30", "--support"
    told = one_object(served.deploy(*asked, f"board:{tmp_path}/there.npz").stdout)
    assert (told["accepted"], told["examples"]) == (True, 24)
    state = learned(served)
    assert served.deploy("adapt", "--target", "desk", "--undo").returncode == 0
    assert one_object(served.deploy(*asked, "more.npz").stdout)["accepted"]
    assert learned(served) == state  # the same as from this side of the line
    np.savez(tmp_path / "wrong.npz", x=x, y=["z"] * 24)
    np.savez(tmp_path / "half.npz", x=x)
    (tmp_path / "noise.npz").write_bytes(b"PK\x03\x04 noise")
    for path, status, said in (
        (f"{tmp_path}/wrong.npz", 3, "'z' is none of its classes"),
        (f"{tmp_path}/half.npz", 3, "has x, which is not x and y"),
        (f"{tmp_path}/noise.npz", 3, "is no .npz that can be read"),
        (f"{tmp_path}/absent.npz", 3, "there is no such file on this board"),
        ("relative.npz", 2, "is no .npz at an absolute path of the board"),
        (f"{tmp_path}/folder", 2, "is no .npz at an absolute path of the board"),
    ):
        done = served.deploy(*asked[:-1], "--support", f"board:{path}")
        assert (done.returncode, said in refusal(done)) == (status, True), done.stderr
    assert learned(served) == state
    assert served.left_behind() == []


def test_plain_files_that_cannot_be_written_are_told_and_what_was_learned_serves(served: Workplace) -> None:
    folder = served.root / "adapted" / served.releases()["current"]
    folder.touch()  # in the place of a folder
    done = served.deploy("adapt", "--target", "desk", "--support", "more.npz", "--steps", "30")
    assert done.returncode == 0, done.stderr
    assert "model/ for stock runtimes cannot be written and goes" in " ".join(done.stderr.split())
    assert learned(served) is not None
    assert not (served.root / "model").is_symlink()


def test_what_cannot_be_learned_from_is_said_in_two_lines(served: Workplace) -> None:
    np.savez(served.folder / "wrong.npz", x=np.zeros((2, 1, 8, 8), np.float32), y=np.array(["a", "z"]))
    for arguments, said in (
        (("--support", "wrong.npz"), "z is none of the release's classes"),
        (("--support", "absent.npz"), "there is no such file"),
        ((), "Give one of --support SOURCE, --learned FILE, --undo, --to N, --list, and --remove-profile"),
        (("--support", "more.npz", "--undo"), "Give one of --support SOURCE"),
        (("--list", "--to", "0"), "Give one of --support SOURCE"),
        (("--to", "5"), "has no generation 5"),
        (("--undo",), "nothing to undo"),
        (("--profile", "../anna"), "'../anna' is no name of a profile"),
        (("--profile", "anna", "--list"), "a profile is switched to alone"),
        (("--profile", "anna", "--undo"), "a profile is switched to alone"),
        (("--remove-profile", "default"), "serves profile default"),
        (("--remove-profile", "bob"), "has no profile bob"),
    ):
        done = served.deploy("adapt", "--target", "desk", *arguments)
        assert (done.returncode, said in refusal(done)) == (2, True), done.stderr
    assert learned(served) is None


def test_what_it_learned_is_listed_and_served_again_by_number(served: Workplace) -> None:
    asked = "adapt", "--target", "desk", "--json"
    for steps in ("30", "10"):
        assert one_object(served.deploy(*asked, "--support", "more.npz", "--steps", steps).stdout)["accepted"]
    second = learned(served)
    listed = one_object(served.deploy(*asked, "--list").stdout)["generations"]
    assert [(each["number"], each["serves"]) for each in listed] == [(0, False), (1, False), (2, True)]
    gone = served.deploy("adapt", "--target", "desk", "--to", "1")
    assert "with generation 1 of what it learned" in " ".join(gone.stdout.split())
    assert learned(served) not in (None, second)
    state = (served.root / "model").readlink().name
    assert state == listed[1]["state"]  # the plain files of it
    table = served.deploy("adapt", "--target", "desk", "--list")
    assert ["serves" in line for line in table.stdout.splitlines() if "│" in line] == [False, True, False]
    assert not one_object(served.deploy(*asked, "--to", "0").stdout)["adapted"]
    assert learned(served) is None
    assert one_object(served.deploy(*asked, "--undo").stdout)["adapted"]
    assert served.left_behind() == []


def test_what_each_user_taught_it_is_kept_apart(served: Workplace) -> None:
    asked = "adapt", "--target", "desk", "--json"
    told = one_object(served.deploy(*asked, "--profile", "anna", "--support", "more.npz", "--steps", "30").stdout)
    assert (told["accepted"], told["profile"]) == (True, "anna")
    hers = learned(served)
    switched = served.deploy("adapt", "--target", "desk", "--profile", "bob")
    assert "as it was installed, for bob" in " ".join(switched.stdout.split())
    assert learned(served) is None
    assert (served.root / "model").readlink().name == "installed"
    assert one_object(served.deploy("status", "--target", "desk", "--json").stdout)["profile"] == "bob"
    assert one_object(served.deploy(*asked, "--profile", "anna").stdout)["profile"] == "anna"
    assert learned(served) == hers
    listed = one_object(served.deploy(*asked, "--list").stdout)
    assert (listed["profiles"], listed["profile"]) == (["anna", "bob", "default"], "anna")
    table = served.deploy("adapt", "--target", "desk", "--list").stdout
    assert "It serves profile anna; others: bob, default." in " ".join(table.split())
    assert one_object(served.deploy(*asked, "--remove-profile", "bob").stdout)["removed"] == "bob"
    assert one_object(served.deploy(*asked, "--list").stdout)["profiles"] == ["anna", "default"]
    entries = one_object(served.deploy("logs", "--target", "desk", "--json").stdout)["entries"]
    assert [each["event"] for each in entries].count("switched to a profile") == 3
    assert served.left_behind() == []
