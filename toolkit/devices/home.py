"""Our folder on a board: found or made, commands in it, a scratch place in it, and bytes put there."""

import secrets
import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.devices.device import Completed, Device, check
from toolkit.devices.marker import FOLDERS, MARKER, REFUSED, enter, look_script, make_script
from toolkit.errors import BoardError
from toolkit.targets import Target

TRUSTED = "trusted"
_ELSEWHERE = "Set `root` in the target to a new folder, e.g. ~/.edge-deploy."
_STATES = ("absent", "closed", "ours", "unfinished", "newer", "empty", "earlier", "foreign")


@dataclass(frozen=True)
class Home:
    """`root` is absolute on the board, `machine` is what its `uname -m` says.

    `guard` is a shell command, for `run`, that fails once another deployer holds the board.
    """

    device: Device
    where: str
    root: str
    machine: str
    guard: str = ":"

    def at(self, *parts: str) -> str:
        """A path below the root."""
        return "/".join((self.root, *parts))

    def within(self, path: str) -> str:
        """One of our own paths as a command that `run` runs names it, quoted. Raises ValueError for any other."""
        parts = path.removeprefix(f"{self.root}/").split("/")
        ours = parts[0] in FOLDERS or parts == [TRUSTED]
        if not (ours and path.startswith(f"{self.root}/") and path.isprintable()) or {"", ".", ".."} & set(parts):
            raise ValueError(f"not a path of ours on the board: {path!r}")
        return shlex.quote("/".join(parts))

    def run(self, script: str, *, timeout_s: float = 60.0, on_line: Callable[[bytes], None] | None = None) -> Completed:
        """Run a script in our folder, once that is seen to carry our marker. Raises BoardError if it does not."""
        done = self.device.run(enter(self.root) + script, timeout_s=timeout_s, on_line=on_line)
        if done.status == REFUSED:
            raise BoardError(
                f"this folder has lost its marker {MARKER}, or a folder in it has become a link: nothing was touched",
                where=f"{self.where}:{self.root}",
                next="See what it holds; deploy to an empty folder, or set `root` to a new one.",
            )
        return done

    def ask(self, script: str, *, timeout_s: float = 60.0) -> Completed:
        """Run a script that only reads, in our folder; one of an earlier layout carries no marker yet."""
        return self.device.run(f"cd -- {shlex.quote(self.root)} || exit 1\n{script}", timeout_s=timeout_s)

    def push(self, local: Path, path: str) -> None:
        """Copy one file to one of our own paths. Raises BoardError."""
        self.within(path)
        self.device.push(local, path)


def find_home(device: Device, target: Target) -> Home | None:
    """Our folder as it is, None where nothing was ever deployed; makes nothing. Raises BoardError if it is not ours."""
    home, state = _look(device, target)
    return None if state in ("absent", "empty") else home


def open_home(device: Device, target: Target) -> Home:
    """Our folder, made where it is absent or empty. Raises BoardError if it is not ours."""
    home, state = _look(device, target)
    if state != "ours":
        made = device.run(make_script(target.root))
        if made.status == REFUSED:
            raise BoardError("its folder changed while it was opened", where=home.where, next="Run again.")
        check(made, "making folders", f"{target.name}:{target.root}", _ELSEWHERE)
        machine, _, root = _answer(made, target)
        home = replace(home, root=root, machine=machine)
    # Files are pushed without a shell that could look first: what the board called our folder must be it.
    check(home.run(":"), "entering our folder", home.where)
    return home


def _look(device: Device, target: Target) -> tuple[Home, str]:
    where = f"{target.name}:{target.root}"
    machine, state, root = _answer(check(device.run(look_script(target.root)), "looking for our folder", where), target)
    if target.family.arch not in ("any", machine):
        raise BoardError(
            f"is {machine}, the target says {target.family.arch}",
            where=target.name,
            next="Choose the target that fits the board (`deploy targets`), or correct its address.",
        )
    if state == "foreign":
        raise BoardError(
            "this folder holds files that are not ours, and none of them was touched",
            where=where,
            next=f'Set `root` in the target to a new folder, e.g. root = "{target.root.rstrip("/")}/edge-deploy".',
        )
    if state == "newer":
        raise BoardError("a newer edge-deploy keeps this folder", where=where, next="Update edge-deploy.")
    if state == "closed":
        raise BoardError(
            "is no folder that the user may enter and read",
            where=where,
            next=_ELSEWHERE,
        )
    return Home(device, target.name, root, machine), state


def _answer(said: Completed, target: Target) -> tuple[str, str, str]:
    """Machine, state and root, each of a form that can be true. Raises BoardError."""
    text = said.stdout.decode("utf-8", "surrogateescape")
    machine, state, root, *rest = (*text.split("\n"), "", "", "")
    if any(rest) or not text.endswith("\n") or state not in _STATES or not machine.isprintable():
        raise BoardError("its answer makes no sense", where=target.name, next="Run again; see what `uname -m` prints.")
    if not root.startswith("/") or not root.strip("/") or not root.isprintable():
        raise BoardError(
            f"says that our folder is {root!r}, which is no absolute path of printable characters",
            where=target.name,
            next="Set `root` in the target to an absolute path.",
        )
    return machine, state, root


@contextmanager
def scratch(home: Home, name: str) -> Iterator[str]:
    """A path in the board's work folder that no other run has; whatever is put there is deleted at the end."""
    path = home.at("work", f"{secrets.token_hex(4)}-{name}")
    try:
        yield path
    finally:
        with suppress(BoardError):  # a lost connection has its own error; the next deployer sweeps
            home.run(f"rm -rf {home.within(path)}")


def push_bytes(home: Home, data: bytes, remote: str) -> None:
    """A small file with that content."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "file")
        local.write_bytes(data)
        home.push(local, remote)
