"""The Device behind a console: a login on its line, opened when first needed and again after the line has dropped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.devices.device import Completed
from toolkit.devices.serial import files, shell
from toolkit.devices.serial.line import Line, LineLost
from toolkit.devices.serial.login import Credentials
from toolkit.devices.serial.session import Session
from toolkit.errors import BoardError
from toolkit.targets import SerialPlace, Target, expand_path


class SerialDevice:
    """A board's console. Connects at once, so that every reason why not comes early."""

    chunk_bytes = 1 << 17

    def __init__(self, target: Target) -> None:
        asked = target.place
        assert isinstance(asked, SerialPlace)
        self._name, self._baud = asked.device, asked.baud
        self._where = f"target {target.name} ({asked.device})"
        self._credentials = Credentials(asked.user, _first_line(asked.password_file))
        self._line: Line | None = None
        self._session: Session | None = None
        self._open()

    def run(
        self, command: str, *, timeout_s: float = 60.0, on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        """See `Device.run`. The output waits in the board's folder for scratch files until it has been fetched."""
        with self._talk() as session:
            completed = shell.run(session, command, timeout_s, on_line, self._where)
        if completed is None:
            what = f"the command did not end within {timeout_s:g} s and was killed: {command[:120]}"
            raise BoardError(what, where=self._where)
        return completed

    def push(self, local: Path, remote: str) -> None:
        """See `Device.push`. The name appears on the board only after the whole file has arrived."""
        with self._talk() as session:
            files.push(session, local, remote, self._where)

    def pull(self, remote: str, local: Path) -> None:
        """See `Device.pull`."""
        with self._talk() as session:
            files.pull(session, remote, local, self._where)

    def close(self) -> None:
        """See `Device.close`. Logs out where it has logged in; a later call opens anew."""
        if self._session:
            with suppress(BoardError):
                self._session.close()
        self._let_go()

    @contextmanager
    def _talk(self) -> Iterator[Session]:
        """The session, opened anew if it was closed or the line dropped."""
        session = self._session or self._open()
        try:
            yield session
        except LineLost:
            self._let_go()
            raise

    def _open(self) -> Session:
        self._line = Line(self._name, self._baud, self._where)
        try:
            self._session = Session(self._line, self._credentials, self._baud, self._where)
        except BaseException:
            self._let_go()
            raise
        return self._session

    def _let_go(self) -> None:
        if self._line:
            self._line.close()
        self._line = self._session = None


def _first_line(password_file: str | None) -> str | None:
    """The password; None where no file is named. Raises BoardError if it cannot be read."""
    if password_file is None:
        return None
    path = expand_path(password_file)
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BoardError(
            f"cannot read the password file: {reason}",
            where=str(path),
            next="Write the password into its first line, and keep it to yourself: `chmod 600`.",
        ) from None
