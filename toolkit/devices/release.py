"""Releases on a board: immutable folders named by content, one symlink that says which is served.

`releases/<digest>/` holds a verified bundle, `current` and `previous` are symlinks swapped by one rename. Whatever
happens at whatever instant, `current` names a complete release: its bytes are on the disk before it gets its name, and
its name is on the disk before it is served. Needs a POSIX shell and `sha256sum` on the board, and no agent.
"""

import secrets
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.devices.device import check
from toolkit.devices.disk import require_room
from toolkit.devices.home import Home, scratch
from toolkit.devices.inventory import (
    adapted_file,
    contents,
    damaged,
    differences,
    held,
    read_releases,
    release_folder,
)
from toolkit.devices.manifest import SIGNATURE, read_local
from toolkit.devices.signature import require_signature
from toolkit.devices.transfer import arrived, forget, send
from toolkit.errors import BadInput, BoardError

_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Installed:
    """What installing did: how many bytes travelled, none if the board had the release whole."""

    digest: str
    was_there: bool
    sent_bytes: int


def install(
    home: Home,
    bundle: Path,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    signature: Path | None = None,
) -> Installed:
    """Put the bundle on the board and verify every digest there; nothing is activated.

    Files that another release on the board holds are linked, not sent; of a damaged release only the damaged files are
    replaced. Raises BadInput for a bundle that is altered or for another machine, BoardError for all else; the board
    then serves what it served before.
    """
    digest, manifest = read_local(bundle)
    _require_machine(home, manifest.arch, bundle)
    files = contents(manifest, digest)
    wrong = differences(home, digest, files)
    sent = _bring(home, digest, bundle, {name: files[name] for name in wrong}, on_progress) if wrong else 0
    if signature:
        home.device.push(signature, f"{release_folder(home, digest)}/{SIGNATURE}")
    return Installed(digest, not wrong, sent)


def _bring(
    home: Home, digest: str, bundle: Path, files: Mapping[str, str], on_progress: Callable[[int, int], None]
) -> int:
    here = held(home, files)
    new = {sha: bundle / name for name, sha in files.items() if sha not in here}
    # Twice the largest: its pieces and what they are joined to.
    sizes = [path.stat().st_size for path in new.values()]
    require_room(home, sum(sizes) + max(sizes, default=0), "the release")
    sent = send(home, new, on_progress) if new else 0
    with scratch(home, digest[:12]) as arriving:
        steps = ["set -e", home.guard, f"mkdir {shlex.quote(arriving)}"]
        for name, sha in files.items():
            source, to = shlex.quote(here.get(sha) or arrived(home, sha)), shlex.quote(f"{arriving}/{name}")
            steps.append(f"ln {source} {to} 2>/dev/null || cp {source} {to}")  # Android permits no hard links
        final = shlex.quote(release_folder(home, digest))
        # One rename, or one for each file where a damaged release of this digest is repaired in place.
        steps.append(f"sync; if [ -d {final} ]; then mv -f {shlex.quote(arriving)}/* {final}/")
        steps.append(f"else mv {shlex.quote(arriving)} {final}; fi; sync")
        check(home.device.run("\n".join(steps), timeout_s=_TIMEOUT_S), "moving the release into place", home.where)
    wrong = differences(home, digest, files)
    if wrong:
        raise BoardError(
            f"{', '.join(wrong)} arrived corrupt", where=home.where, next="Run again; nothing was activated."
        )
    if new:
        forget(home, list(new))
    return sent


def activate(home: Home, digest: str) -> None:
    """Serve that release from now on: one rename. The one served before becomes `previous`.

    Raises BoardError if it is damaged, if the board demands a signature that it lacks, or if the lock was lost.
    """
    now = read_releases(home)
    wrong = damaged(home, digest) if digest in now.available else ["all of it"]
    if wrong:
        raise BoardError(f"has no complete release {digest[:12]}: missing {', '.join(wrong)}", where=home.where)
    require_signature(home, digest)
    if now.current not in (None, digest):
        _link(home, "previous", str(now.current))
    _link(home, "current", digest)


def rollback(home: Home) -> tuple[str, str]:
    """Serve the previous release again; returns (from, to). Raises BoardError if there is none, or it is damaged."""
    now = read_releases(home)
    if not now.current or not now.previous or now.previous == now.current:
        raise BoardError(
            "has no previous release to roll back to",
            where=home.where,
            next="`deploy status` shows what is on the board.",
        )
    wrong = damaged(home, now.previous)
    if wrong:
        raise BoardError(
            f"the previous release is damaged: {', '.join(wrong)}",
            where=home.where,
            next="It still serves what it served; deploy again to replace the damaged one.",
        )
    require_signature(home, now.previous)
    _link(home, "current", now.previous)
    _link(home, "previous", now.current)
    return now.current, now.previous


def remove(home: Home, digest: str) -> None:
    """Delete a release that is neither in service nor the one to roll back to; it loses its name before its bytes."""
    now = read_releases(home)
    if digest in (now.current, now.previous):
        return
    with scratch(home, "removed") as aside:
        folder, learned = shlex.quote(release_folder(home, digest)), shlex.quote(adapted_file(home, digest))
        steps = f"{home.guard} && if [ -e {folder} ]; then mv {folder} {shlex.quote(aside)}; fi && rm -f {learned}"
        check(home.device.run(steps), "removing a release", home.where)


def collect(home: Home, keep: int) -> list[str]:
    """Remove all but the newest `keep` releases, never the one in service nor the one before; returns what went."""
    now = read_releases(home)
    kept = list(dict.fromkeys(d for d in (now.current, now.previous, *now.available) if d))[: max(keep, 2)]
    gone = [digest for digest in now.available if digest not in kept]
    for digest in gone:
        remove(home, digest)
    return gone


def _require_machine(home: Home, arch: str, bundle: Path) -> None:
    machine = check(home.device.run("uname -m"), "asking for its machine", home.where).stdout.decode().strip()
    if arch not in ("any", machine):
        raise BadInput(
            f"the bundle was made for {arch}, {home.where} is {machine}",
            where=str(bundle),
            next="Deploy to this board to make one for it.",
        )


def _link(home: Home, name: str, digest: str) -> None:
    """Point the symlink at a release by one rename: it is never absent, never half."""
    new = f"{name}.{secrets.token_hex(4)}"  # of its own: two runs that activate at once do not meet
    link = f"{home.guard} && ln -s releases/{digest} {new} && mv -T {new} {name} && sync || {{ rm -f {new}; exit 1; }}"
    check(home.device.run(f"cd {shlex.quote(home.root)} && {link}"), f"setting {name}", home.where)
