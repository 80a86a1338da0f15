"""The user's cache folder, and results of long work kept there so that an interrupted run resumes.

A result is a folder named by the hash of everything it depends on. It appears by one rename after it is complete, so a
cached result is never half-written; a seal beside it tells one that was damaged since, which is built again.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import platformdirs

from toolkit.errors import BadInput

_READ_AT_MOST = 64 * 2**20


def cache_folder() -> Path:
    """`$EDGE_DEPLOY_CACHE`, or the platform's cache folder for this tool; created if absent. Raises BadInput."""
    folder = Path(os.environ.get("EDGE_DEPLOY_CACHE") or platformdirs.user_cache_dir("edge-deploy-toolkit"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"cannot be used as the cache folder: {error.strerror}",
            where=str(folder),
            next="Set EDGE_DEPLOY_CACHE to a folder that you may write to.",
        ) from None
    return folder


def digest(*parts: object) -> str:
    """SHA-256 (hex) over parts: bytes as they are, everything else as canonical JSON."""
    state = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True, default=str).encode()
        state.update(len(data).to_bytes(8, "big") + data)
    return state.hexdigest()


def cached(kind: str, key: str, build: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder of that result and whether it was already there.

    `build(folder)` fills a temporary folder when it was not; if it raises or is interrupted nothing is kept.
    """
    final = cache_folder() / kind / key
    if final.is_dir():
        if _read(_seal_file(final)) in (None, _seal(final)):  # no seal: interrupted just before it was set
            return final, True
        shutil.rmtree(final)  # damaged since: build it again
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=final.parent))
    try:
        build(temporary)
        try:
            temporary.rename(final)
            _seal_file(final).write_text(_seal(final), encoding="utf-8")
        except OSError:
            if not final.is_dir():  # another process that finished first is as good
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final, False


def forget_untouched(kind: str, days: float) -> None:
    """Remove the files of that kind which nobody has written for so long: what was begun there was given up."""
    oldest = time.time() - days * 86_400
    for path in (cache_folder() / kind).glob("*"):
        with suppress(OSError):  # another process was faster
            if path.stat().st_mtime < oldest:
                path.unlink()


def _seal(folder: Path) -> str:
    """Sizes and digests of a result's files, to notice damage; only sizes of those too large to read each time."""
    entries = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            size = path.stat().st_size
            content = hashlib.sha256(path.read_bytes()).hexdigest() if size <= _READ_AT_MOST else ""
            entries.append((str(path.relative_to(folder)), size, content))
    return digest(entries)


def _seal_file(folder: Path) -> Path:
    return folder.with_name(folder.name + ".seal")


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
