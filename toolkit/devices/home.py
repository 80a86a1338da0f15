"""Our folder on a board: where it lies, a scratch place in it, and bytes put there."""

import secrets
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from toolkit.devices.device import Device, check
from toolkit.devices.streams import shell_path
from toolkit.errors import BoardError
from toolkit.targets import Target

_FOLDERS = ("agent", "runner", "packages", "incoming", "releases", "adapted", "work")


@dataclass(frozen=True)
class Home:
    """`root` is absolute on the board, `machine` is what its `uname -m` says.

    `guard` is a shell command that fails once another deployer holds the board.
    """

    device: Device
    where: str
    root: str
    machine: str
    guard: str = ":"

    def at(self, *parts: str) -> str:
        """A path below the root."""
        return "/".join((self.root, *parts))


def open_home(device: Device, target: Target) -> Home:
    """Make the folders that are absent. Raises BoardError."""
    where = target.name
    root = shell_path(target.root)
    # Each command is a way there and back: one does it all.
    made = device.run(f"uname -m && mkdir -p {root} && cd {root} && pwd && mkdir -p {' '.join(_FOLDERS)}")
    machine, _, root = made.stdout.decode(errors="replace").strip().partition("\n")
    if machine and target.arch not in ("any", machine):
        raise BoardError(
            f"is {machine}, the target says {target.arch}",
            where=where,
            next="Choose the target that fits the board (`deploy targets`), or correct its address.",
        )
    if b"read-only" in made.stderr.lower():
        raise BoardError(
            "its file system is read-only",
            where=f"{where}:{target.root}",
            next="Remount it writable, or set `root` elsewhere.",
        )
    check(made, "making folders", where)
    return Home(device, where, root, machine)


@contextmanager
def scratch(home: Home, name: str) -> Iterator[str]:
    """A path in the board's work folder that no other run has; whatever is put there is deleted at the end."""
    path = home.at("work", f"{secrets.token_hex(4)}-{name}")
    try:
        yield path
    finally:
        with suppress(BoardError):  # a lost connection has its own error; the next deployer sweeps
            home.device.run(f"rm -rf {shlex.quote(path)}")


def push_bytes(home: Home, data: bytes, remote: str) -> None:
    """A small file with that content."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "file")
        local.write_bytes(data)
        home.device.push(local, remote)
