"""Whatever ends a learning, the board can go back to what it served before."""

from pathlib import Path

import pytest
from workplace import bundle

from toolkit.devices import Home
from toolkit.devices.releases import release
from toolkit.devices.releases.learned import kept_before, undo
from toolkit.errors import BadInput


def files_beside(file: Path) -> list[str]:
    """States; their generations lie in a folder."""
    return [path.name for path in file.parent.iterdir() if not path.is_dir()]


def test_each_learning_is_undone_to_the_one_before_and_no_further(served: tuple[Home, str, Path]) -> None:
    home, digest, file = served
    for state in (b"first", b"second", b"second"):  # the third is refused: the agent leaves what there is
        with kept_before(home, digest):
            file.write_bytes(state)
    assert undo(home, digest)
    assert file.read_bytes() == b"first"
    with pytest.raises(BadInput, match="nothing to undo"):
        undo(home, digest)
    assert files_beside(file) == [file.name]


def test_the_first_is_undone_to_the_release_as_it_was_installed(served: tuple[Home, str, Path]) -> None:
    home, digest, file = served
    with kept_before(home, digest):
        pass  # nothing was learned
    with pytest.raises(BadInput, match="nothing to undo"):
        undo(home, digest)
    with kept_before(home, digest):
        file.write_bytes(b"first")
    assert not undo(home, digest)
    assert files_beside(file) == []


@pytest.mark.parametrize("learned", [True, False])
def test_a_learning_that_was_cut_short_is_undone_if_it_counted(served: tuple[Home, str, Path], learned: bool) -> None:
    """Its host is gone before it can say how it ended: what the board serves tells."""
    home, digest, file = served
    file.write_bytes(b"before")
    gone = file.with_name(f"{digest}.next.safetensors")
    gone.write_bytes(b"before")
    if not learned:
        with pytest.raises(BadInput, match="nothing to undo"):
            undo(home, digest)
        assert file.read_bytes() == b"before"
        return
    file.write_bytes(b"after")
    assert undo(home, digest)
    assert file.read_bytes() == b"before"
    assert files_beside(file) == [file.name]


def test_an_error_inside_leaves_the_same(served: tuple[Home, str, Path]) -> None:
    home, digest, file = served
    file.write_bytes(b"before")

    def learn_and_be_interrupted() -> None:
        with kept_before(home, digest):
            file.write_bytes(b"after")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn_and_be_interrupted()
    assert undo(home, digest)
    assert file.read_bytes() == b"before"


def test_a_release_that_goes_takes_all_of_it_along(served: tuple[Home, str, Path], tmp_path: Path) -> None:
    home, digest, file = served
    for name in ("", ".before", ".next"):
        file.with_name(f"{digest}{name}.safetensors").touch()
    for seed in (1, 2):
        folder, other = bundle(tmp_path / str(seed), seed=seed)
        release.install(home, folder)
        release.activate(home, other)
    release.remove(home, digest)
    assert list(file.parent.iterdir()) == []
