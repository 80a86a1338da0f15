"""`python stopping.py LINE ARGUMENTS...`: the command line, which stops itself once it has printed that line to stderr.

Whoever started it has all the time in the world to send it a signal; `SIGCONT` lets it take that at this very place.
"""

import os
import signal
import sys
from typing import Any, TextIO


class Stopping:
    """A stream that stops this process behind a line."""

    def __init__(self, stream: TextIO, line: str) -> None:
        self._stream = stream
        self._line = line

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        if self._line in text.splitlines():
            self._stream.flush()
            os.kill(os.getpid(), signal.SIGSTOP)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


if __name__ == "__main__":
    from toolkit.cli import main

    sys.stderr = Stopping(sys.stderr, sys.argv.pop(1))  # type: ignore[assignment]
    main()
