"""The one family of errors that a user can do something about.

Everything else that is raised is a bug and shows its traceback.
"""


class DeployError(Exception):
    """What went wrong, where, and what to do next; the CLI prints exactly these and exits with `exit_code`."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, next: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.next = next

    def __str__(self) -> str:
        first = f"{self.where}: {self.what}" if self.where else self.what
        return f"{first}\n{self.next}" if self.next else first


class BadInput(DeployError):
    """Something the user gave cannot be used: a target name, a model, a task, weights, a number."""

    exit_code = 2


class BoardError(DeployError):
    """The board cannot be reached, refuses, is full, or answered something unusable."""

    exit_code = 3


class BudgetError(DeployError):
    """No allocation meets the budget, or the measured model missed it."""

    exit_code = 4
