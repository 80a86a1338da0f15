"""The one family of errors that a user can do something about.

Everything else that is raised is a bug and shows its traceback.
"""

# A `what` that begins so has `where` for its subject: `task.npz` and `has no array y` are one sentence.
_PREDICATES = (
    *("is ", "are ", "was ", "has ", "holds ", "does ", "did ", "cannot be ", "cannot receive ", "needs ", "wants "),
    *("names ", "says ", "uses ", "demands ", "returned ", "raised ", "classified ", "weighs ", "draws ", "exclude "),
)


def first_line(error: Exception) -> str:
    """The first line of what a library said, or what it is called: libraries explain themselves over pages."""
    if isinstance(error, KeyError):  # which says the key alone
        return f"there is no {error}"
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class DeployError(Exception):
    """What went wrong, where, and what to do next; the CLI prints exactly these and exits with `exit_code`."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, next: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.next = next

    @property
    def sentence(self) -> str:
        """What, with where as its subject or before a colon; without the full stop."""
        if not self.where:
            return self.what
        return f"{self.where}{'' if self.what.startswith(_PREDICATES) else ':'} {self.what}"

    def __str__(self) -> str:
        return f"{self.sentence}\n{self.next}" if self.next else self.sentence


class BadInput(DeployError):
    """Something the user gave cannot be used: a target name, a model, a task, weights, a number."""

    exit_code = 2


class BoardError(DeployError):
    """The board cannot be reached, refuses, is full, or answered something unusable."""

    exit_code = 3


class BudgetError(DeployError):
    """No allocation meets the budget, or the measured model missed it."""

    exit_code = 4
