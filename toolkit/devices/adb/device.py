"""A board over adb: an Android device, or any other that runs adbd. It needs a shell there and no Python."""

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from toolkit.devices.adb import shell, sync
from toolkit.devices.adb.address import address_of, open_service
from toolkit.devices.adb.server import Lost, Refused, Stream
from toolkit.devices.device import Completed, check
from toolkit.devices.framed import FramedDevice
from toolkit.devices.full_disk import disk_full
from toolkit.devices.kill_marked import kill_marked, new_mark
from toolkit.devices.streams import part_name
from toolkit.errors import BoardError
from toolkit.targets import Target

_KILL_TIMEOUT_S = 30.0
# Android's shell has no home folder, or one that it may not write to; and adbd makes files that all may write to.
_START = 'umask 022; [ "${HOME:-/}" != / ] && [ -w "$HOME" ] || HOME=/data/local/tmp; export HOME'


class AdbDevice:
    """The Device behind the adb server. Connects at once, so that every reason why not comes early.

    A connection that broke fails the call it broke in; the next call opens a new one. No command is sent twice.
    """

    chunk_bytes = 1 << 25

    def __init__(self, target: Target) -> None:
        self._address = address_of(target)
        self._where = self._address.where
        said = check(FramedDevice(self, self._where).run("pwd"), "finding the home folder", self._where)
        self._home = said.stdout.decode(errors="surrogateescape").removesuffix("\n")
        if not self._home.startswith("/") or not self._home.isprintable():
            raise BoardError(f"says that its home folder is {self._home!r}, which is no path", where=self._where)

    def run(
        self, command: str, *, timeout_s: float = 60.0, on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        """See `Device.run`. What was started is killed on the board, not merely disconnected from."""
        deadline = time.monotonic() + timeout_s
        mark = new_mark()
        with self._service(_marked(command, mark), f"running: {command[:120]}") as stream:
            try:
                completed = shell.read_to_end(stream, deadline, on_line)
            except Lost:
                raise
            except BaseException:  # Ctrl-C, or `on_line` raised: leave nothing running on the board
                self._kill(mark)
                raise
        if completed is None:
            self._kill(mark)
            what = f"the command did not end within {timeout_s:g} s and was killed: {command[:120]}"
            raise BoardError(what, where=self._where)
        return completed

    def push(self, local: Path, remote: str) -> None:
        """See `Device.push`. The name appears on the board only after the whole file has arrived."""
        path = self._path(remote)
        part = part_name(path)
        with local.open("rb") as file, self._service(sync.SERVICE, f"pushing {local.name}") as stream:
            stream.set_timeout(sync.SILENCE_S)
            if not sync.is_folder(stream, str(PurePosixPath(path).parent)):  # adbd would make it
                raise BoardError(f"no such folder: {PurePosixPath(remote).parent}", where=self._where)
            if sync.is_folder(stream, path):
                raise BoardError(f"cannot replace a folder by a file: {remote}", where=self._where)
            try:
                sync.send_file(stream, file, part)
                here, there = shlex.quote(part), shlex.quote(path)
                moved = self.run(f"chmod 644 {here} && mv -f {here} {there}")
                check(moved, f"pushing {local.name}", self._where)
            except Lost:  # adbd deletes what did not arrive whole
                raise
            except BaseException as error:
                with suppress(BoardError):
                    self.run(f"rm -f {shlex.quote(part)}")
                if isinstance(error, Refused):
                    full = disk_full(self, remote, local.stat().st_size, self._where)
                    if full:
                        raise full from None
                raise

    def pull(self, remote: str, local: Path) -> None:
        """See `Device.pull`."""
        part = Path(part_name(str(local)))
        with self._service(sync.SERVICE, f"pulling {remote}") as stream:
            stream.set_timeout(sync.SILENCE_S)
            try:
                with part.open("xb") as file:
                    sync.receive_file(stream, self._path(remote), file)
                part.replace(local)
            except Refused as refused:
                if "No such file" in str(refused):
                    raise BoardError(f"no such file: {remote}", where=self._where) from None
                raise
            finally:
                part.unlink(missing_ok=True)

    def close(self) -> None:
        """Every call has a stream of its own, and the server's connection belongs to all its users."""

    def _kill(self, mark: str) -> None:
        """Kill all that bears the mark, and wait until it is dead."""
        kill = _marked(kill_marked(mark), new_mark())
        with suppress(BoardError), self._service(kill, "killing a command") as stream:
            shell.read_to_end(stream, time.monotonic() + _KILL_TIMEOUT_S, None)

    @contextmanager
    def _service(self, service: str, doing: str) -> Iterator[Stream]:
        """A stream to a service of the board; what breaks on it becomes BoardError."""
        try:
            with open_service(self._address, service) as stream:
                yield stream
        except (Lost, TimeoutError):
            raise BoardError(
                f"the connection was lost while {doing}", where=self._where, next="Check the board and run again."
            ) from None
        except Refused as refused:
            raise BoardError(f"{doing} failed: {refused}", where=self._where) from None

    def _path(self, remote: str) -> str:
        return str(PurePosixPath(self._home, remote.removeprefix("~/")))


def _marked(command: str, mark: str) -> str:
    return f"{shell.SERVICE}{_START} {mark}; cd && exec sh -c {shlex.quote(command)} </dev/null"
