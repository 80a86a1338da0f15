"""What an application hears when a board cannot do what it asks: what, where, and what next."""


class EdgeRuntimeError(Exception):
    """`what` is wrong, `where`, and what to do `next`; each a string."""

    def __init__(self, what: str, *, where: str, next: str) -> None:
        super().__init__(f"{where}: {what}\n{next}")
        self.what, self.where, self.next = what, where, next
