"""What is served is asked for at every call: whether something changed there is heard of, and nothing is missed."""

import os
from pathlib import Path

import pytest

from edge_runtime.watch import Watch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "adapted").mkdir()
    (tmp_path / "current").symlink_to("releases/1")
    return tmp_path


def _swap(root: Path) -> None:
    (root / "next").symlink_to("releases/2")
    (root / "next").replace(root / "current")


def _learn(root: Path) -> None:
    (root / "adapted" / "aside").write_bytes(b"cores")
    (root / "adapted" / "aside").replace(root / "adapted" / "1.safetensors")


def _damage(root: Path) -> None:
    with (root / "adapted" / "1.safetensors").open("r+b") as file:
        file.write(b"other")


def _renamed(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))


@pytest.mark.parametrize("change", [_swap, _learn, _damage, _renamed])
def test_a_change_is_seen_at_once_and_until_one_looks_anew(change: object, root: Path) -> None:
    _learn(root)
    watch = Watch(str(root))
    assert not watch.changed()
    change(root)  # type: ignore[operator]
    assert watch.changed()
    assert watch.changed()


def test_a_folder_that_appears_is_seen(tmp_path: Path) -> None:
    watch = Watch(str(tmp_path))
    assert not watch.changed()
    (tmp_path / "adapted").mkdir()
    assert watch.changed()


def test_counting_calls_is_no_change(root: Path) -> None:
    (root / "counters").mkdir()
    watch = Watch(str(root))
    (root / "counters" / "1.0").write_text("calls 1")
    assert not watch.changed()


def test_a_child_process_looks_for_itself(root: Path) -> None:
    watch = Watch(str(root))
    if (child := os.fork()) == 0:
        os._exit(0 if watch.changed() and not Watch(str(root)).changed() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not watch.changed()


def test_what_cannot_be_watched_may_always_have_changed(tmp_path: Path) -> None:
    assert Watch(str(tmp_path / "nowhere")).changed()


def test_it_leaves_no_file_open(root: Path) -> None:
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        assert not Watch(str(root)).changed()
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
