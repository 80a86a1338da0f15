"""A watch times the stages and tells the user's progress display."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from toolkit.deployment import Stage
from toolkit.progress import Progress


@dataclass
class Watch:
    """The clock of one run: stages as they end, notes for the result."""

    progress: Progress
    stages: list[Stage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    was_cached: bool = False

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator["Watch"]:
        """Time one stage; set `was_cached` inside if an earlier run had done its work."""
        self.was_cached = False
        self.progress.start(name)
        started = time.monotonic()
        yield self
        seconds = time.monotonic() - started
        self.stages.append(Stage(name=name, seconds=round(seconds, 3), cached=self.was_cached))
        self.progress.end(name, seconds, self.was_cached)

    def note(self, text: str) -> None:
        """Show a note now, and keep it for the result."""
        self.notes.append(text)
        self.progress.note(text)

    def note_once(self, text: str) -> None:
        """The same, unless it was said before."""
        if text not in self.notes:
            self.note(text)
