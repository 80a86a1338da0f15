"""What a board learned is numbered, and any of the newest few can be served again."""

import hashlib
import os
from pathlib import Path

import pytest
from workplace import Workplace

from edge_runtime.generations import KEPT, generations, record
from edge_runtime.served import look
from toolkit.devices import Home
from toolkit.devices.releases.generations import read_generations, serve_generation
from toolkit.devices.releases.learned import kept_before, undo
from toolkit.errors import BadInput, BoardError


def learn(home: Home, digest: str, file: Path, *states: bytes) -> None:
    """By one rename each, as the agents do it."""
    for state in states:
        with kept_before(home, digest):
            file.with_suffix(".part").write_bytes(state)
            file.with_suffix(".part").rename(file)


def numbers(home: Home, digest: str) -> list[tuple[int, bool]]:
    """Numbers, and which of them serves."""
    return [(each.number, each.serves) for each in read_generations(home, digest)]


def test_what_is_taken_has_a_number_and_can_be_gone_back_to(served: tuple[Home, str, Path]) -> None:
    home, digest, file = served
    assert numbers(home, digest) == [(0, True)]
    learn(home, digest, file, b"first", b"second", b"second", b"third")  # the third changed nothing
    assert numbers(home, digest) == [(0, False), (1, False), (2, False), (3, True)]
    first = read_generations(home, digest)[1]
    assert (first.state, first.bytes) == (hashlib.sha256(b"first").hexdigest()[:16], 5)
    assert first.learned_s is not None
    assert abs(first.learned_s - file.stat().st_mtime) < 60
    serve_generation(home, digest, 1)
    assert file.read_bytes() == b"first"
    assert numbers(home, digest) == [(0, False), (1, True), (2, False), (3, False)]
    assert undo(home, digest)
    assert file.read_bytes() == b"third"
    serve_generation(home, digest, 0)
    assert not file.exists()
    assert undo(home, digest)
    assert file.read_bytes() == b"third"
    learn(home, digest, file, b"fourth")
    assert numbers(home, digest)[-1] == (4, True)


def test_the_newest_few_are_kept_and_take_no_more_bytes_while_they_serve(served: tuple[Home, str, Path]) -> None:
    home, digest, file = served
    learn(home, digest, file, *(f"state {index}".encode() for index in range(1, KEPT + 4)))
    assert numbers(home, digest) == [(0, False), *((n, n == KEPT + 3) for n in range(4, KEPT + 4))]
    [newest] = (file.parent / digest / "generations").glob(f"{KEPT + 3}-*")
    assert newest.samefile(file)


def test_what_is_served_or_was_before_is_spared_however_old(served: tuple[Home, str, Path]) -> None:
    """Learned eight times, back to the first, once more, and undone: the first serves, and has its number still."""
    home, digest, file = served
    learn(home, digest, file, *(f"state {index}".encode() for index in range(1, KEPT + 1)))
    serve_generation(home, digest, 1)
    learn(home, digest, file, b"one more")
    assert undo(home, digest)
    assert numbers(home, digest) == [(0, False), (1, True), *((n, False) for n in range(2, KEPT + 2))]
    serve_generation(home, digest, 2)
    assert file.read_bytes() == b"state 2"
    assert undo(home, digest)
    assert file.read_bytes() == b"state 1"


def test_a_deployer_that_died_leaves_what_it_had_learned_to_be_gone_back_to(served: tuple[Home, str, Path]) -> None:
    home, digest, file = served
    learn(home, digest, file, b"first")
    file.with_name(f"{digest}.next.safetensors").write_bytes(b"first")
    file.unlink()
    file.write_bytes(b"second")  # and then it was killed
    assert undo(home, digest)
    assert file.read_bytes() == b"first"
    serve_generation(home, digest, 2)
    assert file.read_bytes() == b"second"


def test_one_that_is_damaged_or_absent_is_not_served(served: tuple[Home, str, Path]) -> None:
    home, digest, file = served
    learn(home, digest, file, b"first", b"second")
    [first] = (file.parent / digest / "generations").glob("1-*")
    first.write_bytes(b"f1rst")
    with pytest.raises(BoardError, match=r"generation 1 on top of release .* is damaged"):
        serve_generation(home, digest, 1)
    with pytest.raises(BadInput, match=r"has no generation 7 .*it has 0, 1, 2"):
        serve_generation(home, digest, 7)
    assert file.read_bytes() == b"second"
    assert undo(home, digest)  # an attempt that was refused is nothing to go back from
    assert file.read_bytes() == b"first"


def test_what_else_lies_there_is_no_generation(served: tuple[Home, str, Path]) -> None:
    home, digest, file = served
    learn(home, digest, file, b"first")
    folder = file.parent / digest / "generations"
    for name in ("notes.safetensors", "x-0123456789abcdef.safetensors", "1 2-3.safetensors"):
        (folder / name).touch()
    learn(home, digest, file, b"second")
    assert numbers(home, digest) == [(0, False), (1, False), (2, True)]


def test_a_full_disk_leaves_it_without_a_number_and_it_serves(
    served: tuple[Home, str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, digest, file = served
    (file.parent / digest).mkdir(exist_ok=True)
    (file.parent / digest / "generations").touch()  # no folder can be made there
    learn(home, digest, file, b"first")
    assert file.read_bytes() == b"first"
    assert undo(home, digest) is False


def test_hosts_and_applications_count_alike(served: tuple[Home, str, Path], place: Workplace) -> None:
    home, digest, file = served
    learn(home, digest, file, b"first")
    file.unlink()
    file.write_bytes(b"by an application")
    record(look(str(place.root)))
    record(look(str(place.root)))
    assert generations(look(str(place.root))) == read_generations(home, digest)
    assert numbers(home, digest) == [(0, False), (1, False), (2, True)]


@pytest.mark.parametrize("by", ["a host", "an application"])
def test_a_file_system_without_second_names_keeps_copies(
    served: tuple[Home, str, Path], place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    home, digest, file = served

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if by == "a host":
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "ln").write_text('#!/bin/sh\n[ "$1" = -s ] && exec /bin/ln "$@"\nexit 1\n')
        (tmp_path / "bin" / "ln").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        learn(home, digest, file, b"first")
    else:
        file.write_bytes(b"first")
        monkeypatch.setattr(os, "link", refuse)
        record(look(str(place.root)))
    assert numbers(home, digest) == [(0, False), (1, True)]
    [copy] = (file.parent / digest / "generations").iterdir()
    assert not copy.samefile(file)
