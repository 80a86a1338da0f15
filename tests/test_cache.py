"""A cached result is whole or absent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import toolkit
from toolkit.cache import cache_folder, cached, digest, forget_untouched


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_DEPLOY_CACHE", str(tmp_path / "cache"))
    return cache_folder()


def build_one_file(folder: Path) -> None:
    (folder / "result").write_text("whole")


def test_the_second_call_is_a_hit_and_builds_nothing(folder: Path) -> None:
    def must_not_build(_: Path) -> None:
        raise AssertionError

    first, was_there = cached("kind", "key", build_one_file)
    assert not was_there
    second, was_there = cached("kind", "key", must_not_build)
    assert was_there
    assert first == second == folder / "kind" / "key"
    assert (second / "result").read_text() == "whole"


@pytest.mark.parametrize("how", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_interrupted_build_leaves_nothing(folder: Path, how: type[BaseException]) -> None:
    def stop_halfway(target: Path) -> None:
        build_one_file(target)
        raise how

    with pytest.raises(how):
        cached("kind", "key", stop_halfway)
    assert list((folder / "kind").iterdir()) == []
    assert cached("kind", "key", build_one_file)[1] is False


def test_a_killed_build_leaves_no_result(folder: Path) -> None:
    script = """
import os, signal
from toolkit.cache import cached
def build(folder):
    (folder / "result").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
cached("kind", "key", build)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(toolkit.__file__).parents[1])}
    code = subprocess.run([sys.executable, "-c", script], env=environment).returncode
    assert code == -signal.SIGKILL
    path, was_there = cached("kind", "key", build_one_file)
    assert not was_there
    assert (path / "result").read_text() == "whole"


def test_a_build_that_another_process_wins_gives_the_winners_result(folder: Path) -> None:
    def overtaken(target: Path) -> None:
        (target / "result").write_text("late")
        winner = folder / "kind" / "key"
        winner.mkdir()
        build_one_file(winner)

    path, _ = cached("kind", "key", overtaken)
    assert (path / "result").read_text() == "whole"
    assert [entry.name for entry in (folder / "kind").iterdir()] == ["key"]


def test_digest_tells_parts_apart() -> None:
    digests = [digest("ab"), digest("a", "b"), digest(b"ab"), digest({"a": 1}), digest({"a": 2}), digest()]
    assert len(set(digests)) == len(digests)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_a_result_that_was_damaged_since_is_built_again(folder: Path) -> None:
    path, _ = cached("kind", "key", build_one_file)
    assert cached("kind", "key", build_one_file) == (path, True)
    (path / "result").write_text("garbage")
    assert cached("kind", "key", build_one_file) == (path, False)
    assert (path / "result").read_text() == "whole"


def test_what_nobody_has_written_for_long_is_forgotten_and_nothing_else(folder: Path) -> None:
    forget_untouched("kind", days=14)  # no such folder yet
    for kind in ("kind", "other"):
        (folder / kind).mkdir()
        for name, days in (("young.pt", 13), ("old.pt", 15), (".writing-old", 15)):
            (folder / kind / name).touch()
            os.utime(folder / kind / name, (time.time() - days * 86_400,) * 2)
    forget_untouched("kind", days=14)
    assert [path.name for path in (folder / "kind").iterdir()] == ["young.pt"]
    assert len(list((folder / "other").iterdir())) == 3
