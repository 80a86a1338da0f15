"""The failure that says nothing about the board's health: this machine cannot build or run one."""

from toolkit.errors import BoardError


class BoardUnavailable(BoardError):
    """A tool or a package mirror is missing here. Tests skip on it; a board that does not boot fails them."""
