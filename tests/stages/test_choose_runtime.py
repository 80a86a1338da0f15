"""Which runtime a request gets on a board: the one it names, or the first that can run, or a refusal that helps."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from openssh import Sshd

from toolkit.devices import hold
from toolkit.errors import BadInput, BoardError
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch, choose_runtime
from toolkit.targets import Target

BOTH = ("onnxruntime", "executorch")
# What a board's `python3` says when it is asked which it is.
OLD_PYTHON = "#!/bin/sh\necho 3.8.10 64 glibc 2.31\n"
MUSL_PYTHON = "#!/bin/sh\necho 3.12.3 64\n"
PYTHON_OF_32_BITS = "#!/bin/sh\necho 3.11.2 32 glibc 2.36\n"


@pytest.fixture
def board(start_sshd: Callable[..., Sshd]) -> Target:
    return start_sshd().target().model_copy(update={"runtimes": BOTH})


@pytest.fixture
def noexec(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "no programs"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"NO MOUNT PERMITTED: noexec is NOT tested; {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def with_python(board: Target, folder: Path, text: str) -> Target:
    """A board whose Python is a program of the test's own."""
    file = folder / "python-of-the-board"
    file.write_text(text)
    file.chmod(0o755)
    return board.model_copy(update={"python": str(file)})


def chosen(board: Target, request: Request) -> tuple[str | None, list[str]]:
    """The runtime, and the notes on the way."""
    watch = Watch(Silent())
    with hold(board) as home:
        return choose_runtime(home, request, board, watch).runtime, watch.notes


def test_the_first_of_the_targets_is_taken_where_it_can_run(board: Target) -> None:
    assert chosen(board, Request()) == ("onnxruntime", [])


def test_what_was_named_is_taken(board: Target) -> None:
    assert chosen(board, Request(runtime="executorch")) == ("executorch", [])


@pytest.mark.parametrize(
    ("python", "why"), [(OLD_PYTHON, "Python 3.8.10"), (MUSL_PYTHON, "glibc"), (PYTHON_OF_32_BITS, "32 bits")]
)
def test_the_next_is_taken_and_said_where_the_first_cannot_run(
    board: Target, tmp_path: Path, python: str, why: str
) -> None:
    runtime, [note] = chosen(with_python(board, tmp_path, python), Request())
    assert runtime == "executorch"
    assert why in note


def test_what_was_named_and_cannot_run_is_refused_with_what_can(board: Target, tmp_path: Path) -> None:
    with pytest.raises(BoardError) as caught:
        chosen(with_python(board, tmp_path, OLD_PYTHON), Request(runtime="onnxruntime"))
    assert "3.8.10" in caught.value.what
    assert "executorch" in str(caught.value.next)


def test_a_folder_where_no_program_may_run_is_named(board: Target, noexec: Path) -> None:
    with pytest.raises(BoardError, match="noexec") as caught:
        chosen(board.model_copy(update={"root": str(noexec / "ours")}), Request())
    assert "root" in str(caught.value.next)


def test_a_runtime_that_the_target_has_not_is_bad_input(board: Target) -> None:
    only = board.model_copy(update={"runtimes": ("onnxruntime",)})
    with pytest.raises(BadInput, match="executorch"):
        chosen(only, replace(Request(), runtime="executorch"))


def test_a_runtime_that_is_not_built_yet_is_never_the_default(board: Target) -> None:
    orin = board.model_copy(update={"runtimes": ("tensorrt", "onnxruntime")})
    assert chosen(orin, Request())[0] == "onnxruntime"
    with pytest.raises(BadInput, match="not built"):
        chosen(orin, Request(runtime="tensorrt"))
