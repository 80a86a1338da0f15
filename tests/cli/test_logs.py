"""`deploy logs` shows what happened on a board, whoever did it."""

from pathlib import Path

import numpy as np
import pytest
from serving import blobs
from workplace import FEW_STEPS, MODEL, ONLY_RANKS, ROOMY, Workplace, copy_workplace, local_home, one_object

import edge_runtime
from toolkit.devices import journal


@pytest.fixture
def served(deployed_place: Workplace, tmp_path: Path) -> Workplace:
    return copy_workplace(deployed_place, tmp_path / "copy")


def events(place: Workplace, *more: str) -> list[tuple[str, str]]:
    """What happened, and on top of which release."""
    done = place.deploy("logs", "--target", "desk", "--json", *more)
    assert done.returncode == 0, done.stderr
    return [(each["event"], each["release"]) for each in one_object(done.stdout)["entries"]]


def test_a_deployment_and_what_it_learned(served: Workplace) -> None:
    digest = served.releases()["current"]
    first, second = events(served)
    assert first == ("activated", digest)
    assert second in (("learned", digest), ("did not take what it learned", digest))
    shown = served.deploy("logs", "--target", "desk", COLUMNS="200").stdout
    assert "activated" in shown
    assert "p95 ms" in shown


def test_what_applications_and_deployers_do_lies_in_one_order(served: Workplace) -> None:
    digest, before = served.releases()["current"], len(events(served))
    model = edge_runtime.load(str(served.root))
    x, y = blobs()
    accepted = model.learn(x, y, steps=10).accepted
    np.savez(served.folder / "more.npz", x=x, y=np.array(y))
    done = served.deploy("adapt", "--target", "desk", "--support", "more.npz", "--steps", "10", "--json")
    assert one_object(done.stdout)["accepted"] == accepted
    served.deploy("adapt", "--target", "desk", "--to", "0")
    served.deploy("adapt", "--target", "desk", "--undo")
    learned = "learned" if accepted else "did not take what it learned"
    wanted = [learned, learned, "went to a generation", "undid what it learned"]
    assert events(served)[before:] == [(event, digest) for event in wanted]
    entries = one_object(served.deploy("logs", "--target", "desk", "--json", "--last", "4").stdout)["entries"]
    assert [each["by"].startswith("application ") for each in entries] == [True, False, False, False]
    assert entries[0]["details"]["examples"] == len(x)


def test_a_refusal_says_why(served: Workplace) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 1, 8, 8)).astype(np.float32), np.array(["a", "b", "c"] * 20)
    np.savez(served.folder / "noise.npz", x=x, y=y)
    what = "--target", "desk", "--model", MODEL, "--task", "noise.npz", *ONLY_RANKS, *FEW_STEPS, *ROOMY
    done = served.deploy(*what, "--min-accuracy", "0.99", "--no-adapt")
    assert done.returncode != 0
    [entry] = one_object(served.deploy("logs", "--target", "desk", "--json", "--last", "1").stdout)["entries"]
    assert entry["event"] == "refused"
    assert "99" in entry["details"]["reasons"][0]


def test_what_is_shown_is_what_was_said(served: Workplace) -> None:
    """Through the board's shell, and through a table that knows markup."""
    said = """it's "quoted" 100 % $HOME `ls` \\ ü [/tmp/a] [bold]"""
    journal.note(local_home(served), "refused", reasons=[said])
    [entry] = journal.read_journal(local_home(served), 1)
    assert entry.details == {"reasons": [said]}
    shown = served.deploy("logs", "--target", "desk", "--last", "1", COLUMNS="200")
    assert shown.returncode == 0, shown.stderr
    assert said in shown.stdout


def test_a_full_journal_makes_room(served: Workplace) -> None:
    file = served.root / "journal"
    file.write_text('{"at_s": 1, "event": "old", "by": "x"}\n' * 6000)
    for event in ("last", "new"):
        journal.note(local_home(served), event)
    assert file.stat().st_size < 200
    assert [each.event for each in journal.read_journal(local_home(served), 3)] == ["old", "last", "new"]


def test_a_journal_that_leads_elsewhere_is_left_alone(served: Workplace, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (served.root / "journal").unlink()
    (served.root / "journal").symlink_to(tmp_path / "mine")
    journal.note(local_home(served), "new")
    assert (tmp_path / "mine").read_text() == "mine"
