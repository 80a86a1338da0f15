"""Paths on a board as a target names them: what could mean another place than it says is refused."""

from typing import Annotated

from pydantic import AfterValidator


def board_folder(text: str) -> str:
    """The path of a folder, absolute or from the board's home folder. Raises ValueError."""
    _require_plain(text)
    path = text.removeprefix("~")
    if not path.startswith("/"):
        raise ValueError("must be an absolute path, or one that begins with `~/`, on the board")
    if not path.strip("/"):
        raise ValueError("must name a folder of its own, e.g. ~/.edge-deploy")
    return text


def board_program(text: str) -> str:
    """A program's name, or its path as of a folder. Raises ValueError."""
    return board_folder(text) if "/" in text or text.startswith("~") else _require_plain(text)


def _require_plain(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("must be one line of printable characters")
    if "$" in text or ".." in text.split("/"):
        raise ValueError("must hold neither `$` nor `..`")
    return text


BoardFolder = Annotated[str, AfterValidator(board_folder)]
BoardProgram = Annotated[str, AfterValidator(board_program)]
