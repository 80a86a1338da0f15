"""A board's answers between random markers: what its login shell prints, or swallows, is never taken for an answer."""

import re
import secrets
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolkit.devices.device import Completed, Device
from toolkit.errors import BoardError

_QUOTED = 120  # characters of what the board said that an error shows
_ONLY_INTERACTIVE = (
    "Look into ~/.bashrc, ~/.profile and the like on the board: what redirects output there must be for interactive "
    "shells alone."
)


@dataclass(frozen=True)
class Frame:
    """The markers of one command: where its answer begins and ends, on stdout and on stderr."""

    begin: bytes
    end: bytes
    error_begin: bytes
    error_end: bytes

    def around(self, command: str) -> str:
        """A script that runs the command in a shell of its own, from the home folder, and marks what is its output."""
        b, e, eb, ee = (each.decode() for each in (self.begin, self.end, self.error_begin, self.error_end))
        return (
            f"printf '%s\\n' {eb} >&2; printf '%s\\n' {b}; "
            f'cd "${{HOME:-.}}" 2>/dev/null; sh -c {shlex.quote(command)} </dev/null; s=$?; '
            f"printf %s {ee} >&2; printf '%s %s\\n' {e} $s; exit $s"
        )

    def lines(self, on_line: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Hands on the lines between the markers."""
        begun = ended = False

        def between(line: bytes) -> None:
            nonlocal begun, ended
            if not begun:
                begun = line.endswith(self.begin)
                return
            if ended:
                return
            text, mark, _ = line.partition(self.end)
            ended = bool(mark)
            if text or not ended:
                on_line(text)

        return between

    def read(self, said: Completed, where: str) -> Completed:
        """What lies between the markers, with the status that the end tells. Raises BoardError where they are not."""
        _, begun, rest = said.stdout.partition(self.begin + b"\n")
        if not begun:
            raise self._never_ran(said, where)
        stdout, _, rest = rest.partition(self.end)
        status = re.match(rb" (\d{1,3})\n", rest)
        if not status:
            raise BoardError("its answer was cut off", where=where, next="Check the board and run again.")
        if self.error_begin in said.stdout:
            raise BoardError("its login shell mixes stderr into stdout", where=where, next=_ONLY_INTERACTIVE)
        stderr = said.stderr.partition(self.error_begin + b"\n")[2].partition(self.error_end)[0]
        return Completed(int(status[1]), stdout, stderr)

    def _never_ran(self, said: Completed, where: str) -> BoardError:
        first = _first_line(said.stdout) or _first_line(said.stderr)
        if self.error_begin in said.stderr or not (first or said.status):
            return BoardError("its login shell hides output", where=where, next=_ONLY_INTERACTIVE)
        return BoardError(
            f"its login shell ran no command, and said: {first}"
            if first
            else f"its login shell ran no command, and ended with status {said.status}",
            where=where,
            next="Look into ~/.bashrc and the like on the board for an `exit` or `exec`, give the user a login shell "
            "that runs commands, e.g. `chsh -s /bin/sh USER`, or log in as another.",
        )


def new_frame() -> Frame:
    """Markers that no output can hold by chance."""
    token = secrets.token_hex(8)
    begin, end, error_begin, error_end = (f"--{kind}-{token}--".encode() for kind in ("begin", "end", "errors", "over"))
    return Frame(begin, end, error_begin, error_end)


class FramedDevice:
    """A Device whose commands answer between markers, over whatever transport.

    What a child in the background prints after its command has ended is no part of the answer.
    """

    def __init__(self, device: Device, where: str) -> None:
        self._device = device
        self._where = where
        self.chunk_bytes = device.chunk_bytes

    def run(
        self, command: str, *, timeout_s: float = 60.0, on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        """See `Device.run`. Raises BoardError, too, where the board's login shell did not run the command."""
        frame = new_frame()
        framed = frame.around(command)
        try:
            said = self._device.run(framed, timeout_s=timeout_s, on_line=on_line and frame.lines(on_line))
        except BoardError as error:  # transports quote the command that failed: the user's, not the frame
            error.what = error.what.replace(framed[:_QUOTED], command[:_QUOTED])
            raise
        return frame.read(said, self._where)

    def push(self, local: Path, remote: str) -> None:
        """See `Device.push`."""
        self._device.push(local, remote)

    def pull(self, remote: str, local: Path) -> None:
        """See `Device.pull`."""
        self._device.pull(remote, local)

    def close(self) -> None:
        """See `Device.close`."""
        self._device.close()


def _first_line(said: bytes) -> str:
    lines = ("".join(c for c in line if c.isprintable()).strip() for line in said.decode(errors="replace").splitlines())
    return next((line[:_QUOTED] for line in lines if line), "")
