"""Files in pieces: what arrived is not sent again, and what arrived wrong is."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workplace import Workplace, local_home

from toolkit.devices import Home
from toolkit.devices.local import LocalDevice
from toolkit.devices.releases.transfer import arrived, covered, missing, send
from toolkit.errors import BoardError

CHUNK = 10_000


class SmallChunks(LocalDevice):
    """This machine over a line whose pieces are small, and that breaks after `pushes` of them."""

    chunk_bytes = CHUNK

    def __init__(self, pushes: int) -> None:
        self.pushes = pushes

    def push(self, local: Path, remote: str) -> None:
        if self.pushes == 0:
            raise BoardError("the connection broke")
        self.pushes -= 1
        super().push(local, remote)


@pytest.fixture
def ours(place: Workplace) -> Home:
    return local_home(place)


def on(ours: Home, pushes: int) -> Home:
    return Home(SmallChunks(pushes), ours.where, ours.root, ours.machine)


def a_file(folder: Path, size: int) -> tuple[str, Path]:
    path = folder / f"{size}"
    path.write_bytes(os.urandom(size))
    return hashlib.sha256(path.read_bytes()).hexdigest(), path


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 7 * CHUNK + 3])
def test_a_file_arrives(ours: Home, tmp_path: Path, size: int) -> None:
    sha, path = a_file(tmp_path, size)
    assert send(on(ours, 100), {sha: path}) == size
    assert Path(arrived(ours, sha)).read_bytes() == path.read_bytes()
    assert sorted(p.name for p in Path(ours.at("incoming", sha)).iterdir()) == ["whole"]


@pytest.mark.parametrize("pushes", [0, 1, 4, 7])
def test_an_interrupted_push_sends_the_remainder_alone(ours: Home, tmp_path: Path, pushes: int) -> None:
    sha, path = a_file(tmp_path, 7 * CHUNK + 3)
    with pytest.raises(BoardError, match="connection broke"):
        send(on(ours, pushes), {sha: path})
    assert send(on(ours, 100), {sha: path}) == 7 * CHUNK + 3 - pushes * CHUNK
    assert Path(arrived(ours, sha)).read_bytes() == path.read_bytes()


def test_pieces_of_another_size_are_continued(ours: Home, tmp_path: Path) -> None:
    sha, path = a_file(tmp_path, 5 * CHUNK)
    with pytest.raises(BoardError):
        send(on(ours, 2), {sha: path})
    assert send(ours, {sha: path}) == 3 * CHUNK
    assert Path(arrived(ours, sha)).read_bytes() == path.read_bytes()


def test_joining_that_was_cut_short_is_taken_up(ours: Home, tmp_path: Path) -> None:
    sha, path = a_file(tmp_path, 5 * CHUNK)
    with pytest.raises(BoardError):
        send(on(ours, 4), {sha: path})
    first, second = (Path(ours.at("incoming", sha, f"{offset:012d}")) for offset in (0, CHUNK))
    first.write_bytes(first.read_bytes() + second.read_bytes()[: CHUNK // 2])
    assert send(on(ours, 100), {sha: path}) == 5 * CHUNK - (CHUNK + CHUNK // 2)
    assert Path(arrived(ours, sha)).read_bytes() == path.read_bytes()


def test_a_piece_that_was_damaged_is_found_and_all_is_sent_again(ours: Home, tmp_path: Path) -> None:
    sha, path = a_file(tmp_path, 5 * CHUNK)
    with pytest.raises(BoardError):
        send(on(ours, 2), {sha: path})
    Path(ours.at("incoming", sha, f"{CHUNK:012d}")).write_bytes(bytes(CHUNK))
    assert send(on(ours, 100), {sha: path}) == 3 * CHUNK + 5 * CHUNK
    assert Path(arrived(ours, sha)).read_bytes() == path.read_bytes()


def test_a_piece_that_a_power_cut_emptied_is_sent_again(ours: Home, tmp_path: Path) -> None:
    sha, path = a_file(tmp_path, 5 * CHUNK)
    with pytest.raises(BoardError):
        send(on(ours, 3), {sha: path})
    Path(ours.at("incoming", sha, f"{CHUNK:012d}")).write_bytes(b"")
    assert send(on(ours, 100), {sha: path}) == 4 * CHUNK


def test_a_whole_file_that_was_joined_before_is_not_sent(ours: Home, tmp_path: Path) -> None:
    sha, path = a_file(tmp_path, 3 * CHUNK)
    send(on(ours, 100), {sha: path})
    assert send(on(ours, 0), {sha: path}) == 0


def test_a_line_that_always_corrupts_is_given_up(ours: Home, tmp_path: Path) -> None:
    _, path = a_file(tmp_path, 3 * CHUNK)
    with pytest.raises(BoardError, match="arrived corrupt"):
        send(on(ours, 100), {"0" * 64: path})


def test_progress_counts_bytes_and_ends_at_all_of_them(ours: Home, tmp_path: Path) -> None:
    files = dict(a_file(tmp_path, size) for size in (CHUNK, 2 * CHUNK + 1))
    seen: list[tuple[int, int]] = []
    send(on(ours, 100), files, lambda *progress: seen.append(progress))
    assert seen == sorted(seen)
    assert seen[-1] == (3 * CHUNK + 1, 3 * CHUNK + 1)


@given(
    st.integers(0, 500),
    st.integers(1, 100),
    st.dictionaries(st.integers(0, 500), st.integers(0, 200), max_size=20),
)
def test_what_is_there_and_what_is_missing_make_the_whole(size: int, chunk: int, pieces: dict[int, int]) -> None:
    at = covered(pieces, size)
    assert at <= size
    for offset, length in missing(pieces, size, chunk):
        assert offset == at
        assert length <= chunk
        at += length
    assert at == size
