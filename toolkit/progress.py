"""What long work tells whoever watches; rendering is the watcher's business."""

from typing import Protocol


class Progress(Protocol):
    """One stage at a time: started, advanced, ended."""

    def start(self, stage: str) -> None:
        """A stage begins."""
        ...

    def advance(self, done: int, total: int) -> None:
        """`done` of `total` units of the current stage are done."""
        ...

    def note(self, text: str) -> None:
        """Something worth knowing about the current stage."""
        ...

    def end(self, stage: str, seconds: float, cached: bool) -> None:
        """The stage ended; `cached` if an earlier run had done the work."""
        ...


class Silent:
    """Progress that nobody watches."""

    def start(self, stage: str) -> None:
        """Nothing."""

    def advance(self, done: int, total: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def end(self, stage: str, seconds: float, cached: bool) -> None:
        """Nothing."""
