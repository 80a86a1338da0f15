"""Initial RAM disks as bytes: a gzipped `newc` cpio archive that the kernel unpacks.

The kernel accepts several archives one after the other, so what differs from board to board (keys, name) is a
second, tiny one behind the cached one.
"""

import gzip
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from toolkit.lab.unavailable import BoardUnavailable

DIRECTORY = 0o040755
PROGRAM = 0o100755
PRIVATE = 0o100600


def archive(folders: Iterable[str], files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """Empty folders, and files by relative path as (mode, content); all are root's. Parents are added."""
    needed = set(folders) | {
        str(parent) for path in files for parent in PurePosixPath(path).parents if str(parent) != "."
    }
    members = [_member(path, DIRECTORY, b"") for path in sorted(needed)]
    members += [_member(path, mode, content) for path, (mode, content) in files.items()]
    members.append(_member("TRAILER!!!", 0, b""))
    return gzip.compress(b"".join(members), compresslevel=1, mtime=0)


def module_order(modules: Mapping[str, Path], wanted: Iterable[str]) -> list[Path]:
    """The wanted kernel modules, each after those it depends on. Raises BoardUnavailable if one is absent."""
    order: list[Path] = []

    def add(name: str) -> None:
        if name not in modules:
            raise BoardUnavailable(f"the kernel package has no module '{name}'")
        if modules[name] not in order:
            found = re.search(rb"\0depends=([^\0]*)\0", modules[name].read_bytes())
            for dependency in found.group(1).decode().split(",") if found else []:
                if dependency:
                    add(dependency.replace("-", "_"))
            order.append(modules[name])

    for name in wanted:
        add(name)
    return order


def _member(path: str, mode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    inode = owner = group = changed = device = 0
    fields = (
        inode,
        mode,
        owner,
        group,
        1,
        changed,
        len(content),
        device,
        device,
        device,
        device,
        len(name),
        0,
    )
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
