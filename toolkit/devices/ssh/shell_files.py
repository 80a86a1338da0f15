"""Files through the board's shell, for servers without an SFTP subsystem: `cat`, with the size and the digest checked.

Any login shell will do, and what it prints does no harm: the command says a random mark once it runs.
"""

import hashlib
import secrets
import time
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import paramiko

from toolkit.devices.device import Completed, Device, check
from toolkit.devices.full_disk import disk_full
from toolkit.devices.kill_marked import new_mark
from toolkit.devices.ssh.run import read_to_end, script
from toolkit.devices.streams import part_name, shell_path
from toolkit.errors import BoardError

SILENCE_S = 120.0
_CHUNK = 1 << 16
_NO_FOLDER, _IS_FOLDER, _NO_FILE, _NOT_WRITTEN, _DAMAGED = range(61, 66)

_PUSH = (
    'd={folder}; f={part}; t={path}; [ -d "$d" ] || exit {no_folder}; [ -d "$t" ] && exit {is_folder}; '
    'trap \'rm -f -- "$f"\' EXIT; echo {mark}; cat >"$f" || exit {not_written}; '
    '[ "$(wc -c <"$f")" -eq {size} ] || exit {damaged}; '
    's=$(sha256sum <"$f" 2>/dev/null); case "$s" in ""|{digest}*) ;; *) exit {damaged};; esac; mv -f -- "$f" "$t"'
)
_PULL = (
    'f={path}; [ -e "$f" ] || exit {no_file}; [ -d "$f" ] && exit {is_folder}; n=$(wc -c <"$f") || exit 1; '
    's=$(sha256sum <"$f" 2>/dev/null); echo {mark} $n "${{s%% *}}"; cat <"$f"'
)


def push(device: Device, channel: paramiko.Channel, local: Path, remote: str, where: str) -> None:
    """See `Device.push`. Raises OSError, EOFError where the connection breaks."""
    mark = secrets.token_hex(8)
    with local.open("rb") as file:
        digest, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        file.seek(0)
        _start(
            channel,
            _PUSH.format(
                folder=_folder(remote),
                part=shell_path(part_name(remote)),
                path=shell_path(remote),
                size=size,
                digest=digest,
                no_folder=_NO_FOLDER,
                is_folder=_IS_FOLDER,
                not_written=_NOT_WRITTEN,
                damaged=_DAMAGED,
                mark=mark,
            ),
        )
        # Not before it is ready: another shell in its place would take the file for commands.
        ready, _ = _header(channel, mark)
        if ready is not None:
            _send(channel, file)
    done = _end(channel)
    if done.status == _NO_FOLDER:
        raise BoardError(f"no such folder: {PurePosixPath(remote).parent}", where=where)
    if done.status == _IS_FOLDER:
        raise BoardError(f"cannot replace a folder by a file: {remote}", where=where)
    if done.status == _DAMAGED:
        raise BoardError(f"{remote} arrived damaged", where=where, next="Run again.")
    if ready is None and done.status == 0:
        raise BoardError("its login shell runs no commands", where=where, next="Log in as a user with a shell.")
    full = disk_full(device, remote, size, where) if done.status == _NOT_WRITTEN else None
    if full:
        raise full
    check(done, f"pushing {local.name}", where)


def pull(channel: paramiko.Channel, remote: str, local: Path, where: str) -> None:
    """See `Device.pull`. Raises OSError, EOFError where the connection breaks."""
    mark = secrets.token_hex(8)
    _start(channel, _PULL.format(path=shell_path(remote), mark=mark, no_file=_NO_FILE, is_folder=_IS_FOLDER))
    part, sha256, received = Path(part_name(str(local))), hashlib.sha256(), 0
    try:
        with part.open("xb") as file:
            header, piece = _header(channel, mark)
            while header is not None and (piece := piece or channel.recv(_CHUNK)):
                file.write(piece)
                sha256.update(piece)
                received += len(piece)
                piece = b""
        done = _end(channel)
        if done.status == _NO_FILE:
            raise BoardError(f"no such file: {remote}", where=where)
        if done.status == _IS_FOLDER:
            raise BoardError(f"cannot copy a folder: {remote}", where=where)
        check(done, f"pulling {remote}", where)
        size, _, digest = (header or "").partition(" ")
        if str(received) != size or digest not in ("", sha256.hexdigest()):
            raise BoardError(f"{remote} arrived with {received} of {size} bytes, or damaged", where=where)
        part.replace(local)
    finally:
        part.unlink(missing_ok=True)


def _folder(remote: str) -> str:
    folder = str(PurePosixPath(remote).parent)
    return "~" if folder == "~" else shell_path(folder)


def _start(channel: paramiko.Channel, command: str) -> None:
    channel.settimeout(SILENCE_S)
    channel.exec_command("exec /bin/sh -s")
    channel.sendall(script(command, new_mark(), stdin=""))


def _send(channel: paramiko.Channel, file: BinaryIO) -> None:
    try:
        while chunk := file.read(_CHUNK):
            channel.sendall(chunk)
        channel.shutdown_write()
    except TimeoutError:
        raise
    except OSError:  # the command ended before it had read everything, and says why
        pass


def _header(channel: paramiko.Channel, mark: str) -> tuple[str | None, bytes]:
    """What stands on the line after the mark, None if none comes, and what has come already of what follows."""
    seen = b""
    while chunk := channel.recv(_CHUNK):
        seen += chunk
        _, found, after = seen.partition(mark.encode())
        line, newline, rest = after.partition(b"\n")
        if found and newline:
            return line.decode(errors="replace").strip(), rest
    return None, b""


def _end(channel: paramiko.Channel) -> Completed:
    done = read_to_end(channel, time.monotonic() + SILENCE_S, None)
    if done is None or done.status == -1:
        raise EOFError
    return done
