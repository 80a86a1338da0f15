"""This machine as a board: the same verbs as over a cable, so that all that uses them runs without one."""

import errno
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from toolkit.devices.device import Completed
from toolkit.devices.streams import deliver_lines, part_name
from toolkit.errors import BoardError
from toolkit.units import format_bytes

_CHUNK = 1 << 16
_WHERE = "this machine"


class LocalDevice:
    """The Device that is this machine. Commands start in the home folder, as they do over ssh."""

    chunk_bytes = 1 << 26

    def run(
        self, command: str, *, timeout_s: float = 60.0, on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        """See `Device.run`. The command is its own process group, so that its children die with it."""
        deadline = time.monotonic() + timeout_s
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=Path.home(),
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise BoardError(f"cannot start a shell: {error}", where=_WHERE) from None
        with process:
            try:
                stdout, stderr = _read_both(process, deadline, on_line)
                status = process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill_group(process)
                what = f"the command did not end within {timeout_s:g} s and was killed: {command[:120]}"
                raise BoardError(what, where=_WHERE) from None
            except BaseException:  # Ctrl-C, or `on_line` raised: leave nothing running
                _kill_group(process)
                raise
        return Completed(status if status >= 0 else 128 - status, stdout, stderr)

    def push(self, local: Path, remote: str) -> None:
        """See `Device.push`."""
        if not local.is_file():
            raise FileNotFoundError(local)
        path = _on_this_machine(remote)
        if not path.parent.is_dir():
            raise BoardError(f"no such folder: {path.parent}", where=_WHERE)
        _copy(local, path)

    def pull(self, remote: str, local: Path) -> None:
        """See `Device.pull`."""
        path = _on_this_machine(remote)
        if not path.is_file():
            raise BoardError(f"no such file: {remote}", where=_WHERE)
        _copy(path, local)

    def close(self) -> None:
        """There is no connection to let go of."""


def _read_both(
    process: subprocess.Popen[bytes], deadline: float, on_line: Callable[[bytes], None] | None
) -> tuple[bytes, bytes]:
    """Both streams to their ends, read as they fill: a full pipe that nobody reads would stop the command."""
    assert process.stdout
    assert process.stderr
    stdout, stderr, pending = bytearray(), bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, stdout)
        selector.register(process.stderr, selectors.EVENT_READ, stderr)
        while selector.get_map():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise subprocess.TimeoutExpired(process.args, 0)
            for key, _ in selector.select(remaining):
                chunk = os.read(key.fd, _CHUNK)
                key.data.extend(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.data is stdout:
                    deliver_lines(pending, chunk, on_line)
    if pending:
        deliver_lines(pending, b"\n", on_line)
    return bytes(stdout), bytes(stderr)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _on_this_machine(remote: str) -> Path:
    return Path.home() / remote.removeprefix("~/")


def _copy(source: Path, destination: Path) -> None:
    """Copy so that readers of `destination` see the old file or the whole new one, power cuts included."""
    part = Path(part_name(str(destination)))
    try:
        with source.open("rb") as reader, part.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        part.replace(destination)
    except OSError as error:
        part.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            need, free = source.stat().st_size, shutil.disk_usage(destination.parent).free
            what = f"disk full: {destination} needs {format_bytes(need)}, {format_bytes(free)} are free"
            raise BoardError(what, where=_WHERE, next="Make room and run again.") from None
        raise BoardError(f"cannot copy {source} to {destination}: {error.strerror}", where=_WHERE) from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise
