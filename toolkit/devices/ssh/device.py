"""A board over SSH: commands through exec channels, files through SFTP."""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import paramiko

from toolkit.devices.device import Completed
from toolkit.devices.full_disk import disk_full
from toolkit.devices.kill_marked import kill_marked, new_mark
from toolkit.devices.ssh.address import address_of
from toolkit.devices.ssh.link import Link, open_link
from toolkit.devices.ssh.run import read_to_end, start
from toolkit.devices.streams import part_name
from toolkit.errors import BoardError
from toolkit.targets import Target

_SESSION_TIMEOUT_S = 30.0
_KILL_TIMEOUT_S = 30.0
_SFTP_SILENCE_S = 120.0
_PREFETCH_REQUESTS = 512  # paramiko sleeps 10 ms whenever this many are on their way: 64 gave 8 MB/s


class SshDevice:
    """The Device behind an SSH server. Connects at once, so that every reason why not comes early.

    A connection that broke fails the call it broke in; the next call opens a new one. No command is sent twice.
    """

    chunk_bytes = 1 << 22

    def __init__(self, target: Target) -> None:
        self._address = address_of(target)
        self._where = self._address.where
        self._link: Link | None = open_link(self._address)
        self._open_sftp: paramiko.SFTPClient | None = None

    def run(
        self, command: str, *, timeout_s: float = 60.0, on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        """See `Device.run`. What was started is killed on the board, not merely disconnected from."""
        deadline = time.monotonic() + timeout_s
        mark = new_mark()
        channel = self._start(command, mark)
        try:
            completed = read_to_end(channel, deadline, on_line)
        except BaseException:  # Ctrl-C, or `on_line` raised: leave nothing running on the board
            self._kill(mark)
            raise
        finally:
            channel.close()
        if completed is None:
            self._kill(mark)
            what = f"the command did not end within {timeout_s:g} s and was killed: {command[:120]}"
            raise BoardError(what, where=self._where)
        if completed.status == -1:  # the server sends a status whenever the command ends
            raise self._lost(f"running: {command[:120]}")
        return completed

    def push(self, local: Path, remote: str) -> None:
        """See `Device.push`. A connection that breaks leaves `.NAME.*.part` to whoever sweeps that folder."""
        path = remote.removeprefix("~/")
        part = part_name(path)
        with local.open("rb") as file, self._sftp(f"pushing {local.name}") as sftp:
            size = local.stat().st_size
            try:
                sftp.putfo(file, part)  # compares the sizes at its end
                sftp.posix_rename(part, path)
            except (TimeoutError, EOFError, paramiko.SSHException):
                raise
            except BaseException as error:
                with suppress(OSError, EOFError, paramiko.SSHException):
                    sftp.remove(part)
                if not isinstance(error, OSError):
                    raise
                if error.errno == errno.ENOENT:
                    folder = PurePosixPath(remote).parent
                    raise BoardError(f"no such folder: {folder}", where=self._where) from None
                # SFTP has no status for a full disk
                if error.errno is None and not sftp.get_channel().closed:
                    full = disk_full(self, remote, size, self._where)
                    if full:
                        raise full from None
                raise

    def pull(self, remote: str, local: Path) -> None:
        """See `Device.pull`."""
        path = remote.removeprefix("~/")
        part = Path(part_name(str(local)))
        with self._sftp(f"pulling {remote}") as sftp:
            try:
                size = sftp.stat(path).st_size
            except FileNotFoundError:
                raise BoardError(f"no such file: {remote}", where=self._where) from None
            try:
                with part.open("xb") as file:
                    received = sftp.getfo(path, file, max_concurrent_prefetch_requests=_PREFETCH_REQUESTS)
                if received != size:
                    raise BoardError(f"{remote} arrived with {received} of {size} bytes", where=self._where)
                part.replace(local)
            finally:
                part.unlink(missing_ok=True)

    def close(self) -> None:
        """See `Device.close`."""
        if self._link is not None:
            self._link.close()
        self._link = self._open_sftp = None

    def _start(self, command: str, mark: str) -> paramiko.Channel:
        doing = f"starting: {command[:120]}"
        channel = self._session(doing)
        try:
            start(channel, command, mark)
        except (paramiko.SSHException, OSError, EOFError):
            raise self._lost(doing) from None
        return channel

    def _kill(self, mark: str) -> None:
        """Kill all that bears the mark, and wait until it is dead."""
        with suppress(BoardError):  # a board that is gone cannot be told to kill
            channel = self._start(kill_marked(mark), new_mark())
            channel.status_event.wait(_KILL_TIMEOUT_S)
            channel.close()

    def _session(self, doing: str) -> paramiko.Channel:
        """A new channel. A connection that gives none any more is replaced, once: nothing was asked of it yet."""
        if self._link is not None:
            with suppress(paramiko.SSHException, OSError, EOFError):
                return self._open_session(self._link)
            self.close()
        self._link = open_link(self._address)
        try:
            return self._open_session(self._link)
        except (paramiko.SSHException, OSError, EOFError):
            raise self._lost(doing) from None

    def _open_session(self, link: Link) -> paramiko.Channel:
        try:
            return link.transport.open_session(timeout=_SESSION_TIMEOUT_S)
        except paramiko.ChannelException as error:
            raise BoardError(f"its SSH server refuses a session: {error.text}", where=self._where) from None

    @contextmanager
    def _sftp(self, doing: str) -> Iterator[paramiko.SFTPClient]:
        """The one SFTP session; what breaks in it becomes BoardError."""
        if self._open_sftp is None or self._open_sftp.get_channel().closed:
            self._open_sftp = self._start_sftp(doing)
        try:
            yield self._open_sftp
        except (TimeoutError, EOFError, paramiko.SSHException):
            raise self._lost(doing) from None
        except OSError as error:
            if isinstance(error, ConnectionError) or self._open_sftp.get_channel().closed:
                raise self._lost(doing) from None
            raise BoardError(f"{doing} failed: {error.strerror or error}", where=self._where) from None

    def _start_sftp(self, doing: str) -> paramiko.SFTPClient:
        channel = self._session(doing)
        try:
            channel.settimeout(_SFTP_SILENCE_S)
            channel.invoke_subsystem("sftp")
            return paramiko.SFTPClient(channel)
        except (paramiko.SSHException, OSError, EOFError):
            if not self._is_connected():
                raise self._lost(doing) from None
            raise BoardError(
                "its SSH server offers no SFTP",
                where=self._where,
                next="Install openssh-sftp-server on it.",
            ) from None

    def _is_connected(self) -> bool:
        with suppress(EOFError):
            return self._link is not None and self._link.transport.is_active()
        return False

    def _lost(self, doing: str) -> BoardError:
        """The error for a call in which the connection broke; the next call opens a new one."""
        self.close()
        return BoardError(
            f"the connection was lost while {doing}", where=self._where, next="Check the board and run again."
        )
