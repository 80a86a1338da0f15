"""A home folder on this machine, full of its user's files: none of them may be touched."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolkit.devices.marker import FOLDERS

NOBODY = 65534  # the tests may run as root, and a lie that works must not cost the machine anything
OWN_ROOTS = ("~/boards/ours", "~/ours", "~/it's ours")
USERS_ROOTS = ("~/boards", "~/work", "~/documents")


@dataclass(frozen=True)
class UsersHome:
    """`root` is where a target wants our folder: one of `OWN_ROOTS`, which the user has not made, or the user's own."""

    folder: Path
    root: str
    before: dict[str, bytes | str | None]

    @property
    def ours(self) -> Path:
        return _ours(self.folder, self.root)

    def touched(self) -> list[str]:
        """Canaries that are gone or altered, and what is new beside them."""
        now = _snapshot(self.folder, self.root)
        return sorted(name for name in {*self.before, *now} if self.before.get(name, "") != now.get(name, ""))


@contextmanager
def users_home(root: str, used: Path | None = None) -> Iterator[UsersHome]:
    """A fresh one; `used` is what our folder holds already."""
    base = Path(tempfile.mkdtemp(prefix="canaries-"))
    base.chmod(0o755)
    folder = base / "home"
    try:
        _fill(folder)
        _fill(folder / "boards")
        if used:
            shutil.copytree(used, _ours(folder, root), symlinks=True)
        if os.getuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        yield UsersHome(folder, root, _snapshot(folder, root))
    finally:
        shutil.rmtree(base)


def _fill(folder: Path) -> None:
    """Files under all the names that we use ourselves, and some that we do not."""
    for name in (*FOLDERS, "documents"):
        (folder / name).mkdir(parents=True)
        (folder / name / "thesis.txt").write_text(f"of the user, in {name}")
        (folder / name / ".a.0123abcd.part").write_text("hidden")
    (folder / "releases" / "v1").mkdir()
    (folder / "releases" / "v1" / "notes").write_text("x")
    for name in ("trusted", "lease", "lease.12", "lock.ab"):
        (folder / name).write_text("of the user")
    (folder / "current").symlink_to("releases/v1")
    (folder / "lock").symlink_to("of the user")


def _ours(folder: Path, root: str) -> Path:
    return folder / root.removeprefix("~/")


def _snapshot(folder: Path, root: str) -> dict[str, bytes | str | None]:
    """Bytes, link or nothing, by path, of all but what may be ours."""
    ours = _ours(folder, root) if root in OWN_ROOTS else None
    found: dict[str, bytes | str | None] = {}
    for at, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(at, name)
            if path == ours:
                folders.remove(name)
            elif path.is_symlink():
                found[str(path)] = str(path.readlink())
            else:
                found[str(path)] = path.read_bytes() if path.is_file() else None
    return found
