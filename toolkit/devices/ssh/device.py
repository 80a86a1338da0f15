"""A board over SSH: commands through exec channels, files through SFTP or, where the server has none, the shell."""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import paramiko

from toolkit.devices.device import Completed
from toolkit.devices.full_disk import disk_full
from toolkit.devices.kill_marked import kill_marked, new_mark
from toolkit.devices.ssh import shell_files
from toolkit.devices.ssh.address import address_of
from toolkit.devices.ssh.link import open_link
from toolkit.devices.ssh.run import read_to_end, start
from toolkit.devices.streams import part_name
from toolkit.errors import BoardError
from toolkit.targets import Target

_SESSION_TIMEOUT_S = 30.0
_KILL_TIMEOUT_S = 30.0
_PREFETCH_REQUESTS = 512  # paramiko sleeps 10 ms whenever this many are on their way: 64 gave 8 MB/s


class SshDevice:
    """The Device behind an SSH server. Connects at once, so that every reason why not comes early.

    A connection that broke fails the call it broke in; the next call opens a new one. No command is sent twice.
    """

    chunk_bytes = 1 << 22

    def __init__(self, target: Target) -> None:
        self._address = address_of(target)
        self._where = self._address.where
        self._links = [open_link(self._address)]
        self._open_sftp: paramiko.SFTPClient | None = None
        self._has_sftp = True

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
        path, doing = remote.removeprefix("~/"), f"pushing {local.name}"
        if not self._offers_sftp(doing):
            with self._channel(doing) as channel:
                shell_files.push(self, channel, local, remote, self._where)
            return
        part = part_name(path)
        with local.open("rb") as file, self._sftp(doing) as sftp:
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
        path, doing = remote.removeprefix("~/"), f"pulling {remote}"
        if not self._offers_sftp(doing):
            with self._channel(doing) as channel:
                shell_files.pull(channel, remote, local, self._where)
            return
        part = Path(part_name(str(local)))
        with self._sftp(doing) as sftp:
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
        for link in self._links:
            link.close()
        self._links.clear()
        self._open_sftp = None

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
        """A new channel, on one more connection where those that are open give no more (MaxSessions in sshd_config).

        A connection that was lost is replaced, once: nothing was asked of the new one yet.
        """
        for link in tuple(self._links):
            try:
                return link.transport.open_session(timeout=_SESSION_TIMEOUT_S)
            except paramiko.ChannelException:
                continue
            except (paramiko.SSHException, OSError, EOFError):
                link.close()
                self._links.remove(link)
        link = open_link(self._address)
        self._links.append(link)
        try:
            return link.transport.open_session(timeout=_SESSION_TIMEOUT_S)
        except paramiko.ChannelException as error:
            raise BoardError(
                f"its SSH server refuses a session: {error.text}",
                where=self._where,
                next="Raise MaxSessions in its sshd_config, or let this user run commands.",
            ) from None
        except (paramiko.SSHException, OSError, EOFError):
            raise self._lost(doing) from None

    @contextmanager
    def _channel(self, doing: str) -> Iterator[paramiko.Channel]:
        """A channel for a file; what breaks on it becomes BoardError."""
        channel = self._session(doing)
        with self._mended(doing, channel):
            try:
                yield channel
            finally:
                channel.close()

    @contextmanager
    def _sftp(self, doing: str) -> Iterator[paramiko.SFTPClient]:
        """The one SFTP session; what breaks in it becomes BoardError."""
        assert self._open_sftp
        with self._mended(doing, self._open_sftp.get_channel()):
            yield self._open_sftp

    @contextmanager
    def _mended(self, doing: str, channel: paramiko.Channel) -> Iterator[None]:
        try:
            yield
        except (TimeoutError, EOFError, paramiko.SSHException):
            raise self._lost(doing) from None
        except OSError as error:
            if isinstance(error, ConnectionError) or (channel.closed and error.errno is None):
                raise self._lost(doing) from None
            raise BoardError(f"{doing} failed: {error.strerror or error}", where=self._where) from None

    def _offers_sftp(self, doing: str) -> bool:
        """Whether the SFTP session is open now. A server that has none is not asked again."""
        if self._has_sftp and (self._open_sftp is None or self._open_sftp.get_channel().closed):
            channel = self._session(doing)
            try:
                channel.settimeout(shell_files.SILENCE_S)
                channel.invoke_subsystem("sftp")
                self._open_sftp = paramiko.SFTPClient(channel)
            except (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError):
                channel.close()
                if not channel.get_transport().is_active():
                    raise self._lost(doing) from None
                self._has_sftp = False
        return self._has_sftp

    def _lost(self, doing: str) -> BoardError:
        """The error for a call in which the connection broke; the next call opens a new one."""
        self.close()
        return BoardError(
            f"the connection was lost while {doing}", where=self._where, next="Check the board and run again."
        )
