"""Releases on a board: immutable folders named by content, one symlink that says which is served.

`releases/<digest>/` holds a verified bundle, `current` and `previous` are symlinks swapped by one rename. Whatever
happens at whatever instant, `current` names a complete release: its bytes are on the disk before it gets its name, and
its name is on the disk before it is served. Needs a POSIX shell and `sha256sum` on the board, and no agent.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.devices.device import check
from toolkit.devices.digests import sums
from toolkit.devices.disk import require_room
from toolkit.devices.home import Home, scratch
from toolkit.devices.releases.inventory import (
    adapted_file,
    contents,
    damaged,
    held,
    read_releases,
    release_folder,
)
from toolkit.devices.releases.learned import kept_files
from toolkit.devices.releases.manifest import SIGNATURE, read_local
from toolkit.devices.releases.plain import lead_to, plain_folder
from toolkit.devices.releases.signature import require_signature
from toolkit.devices.releases.transfer import arrived, send
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

    Files that another release on the board holds are copied there, not sent; of a damaged release only the damaged
    files are replaced. Raises BadInput for a bundle that is altered or for another machine, BoardError for all else;
    the board then serves what it served before.
    """
    digest, manifest = read_local(bundle)
    if manifest.arch not in ("any", home.machine):
        raise BadInput(
            f"the bundle was made for {manifest.arch}, {home.where} is {home.machine}",
            where=str(bundle),
            next="Deploy to this board to make one for it.",
        )
    files = contents(manifest, digest)
    on_board = read_releases(home)
    # Where the board's own manifest of this release is damaged, ours says what else should lie there.
    known = replace(on_board, manifests={**on_board.manifests, digest: manifest})
    here = held(home, known, files.values())
    wrong = [name for name, sha in files.items() if home.at("releases", digest, name) not in here.get(sha, ())]
    sent = _bring(home, digest, bundle, {name: files[name] for name in wrong}, here, on_progress) if wrong else 0
    if signature:
        home.push(signature, f"{release_folder(home, digest)}/{SIGNATURE}")
    return Installed(digest, not wrong, sent)


def _bring(
    home: Home,
    digest: str,
    bundle: Path,
    files: Mapping[str, str],
    here: Mapping[str, list[str]],
    on_progress: Callable[[int, int], None],
) -> int:
    """Send what is nowhere on the board (`here`), gather all of `files`, give it its name; returns bytes sent."""
    new = {sha: bundle / name for name, sha in files.items() if sha not in here}
    # What arrives is copied into its place, so that an interruption loses none of it.
    size = sum((bundle / name).stat().st_size for name in files)
    require_room(home, size + sum(path.stat().st_size for path in new.values()), "the release")
    sent = send(home, new, on_progress) if new else 0
    arriving, final = f"work/{secrets.token_hex(4)}-{digest[:12]}", f"releases/{digest}"
    steps = ["set -e", home.guard, f"mkdir {arriving}", f"trap 'rm -rf {arriving}' EXIT"]
    for name, sha in files.items():
        # A copy, not a link: one bad block must not take the release to go back to along with the one in service.
        steps.append(f"cp {home.within(here[sha][0] if sha in here else arrived(home, sha))} {arriving}/{name}")
    # One rename, or one for each file where a damaged release of this digest is repaired in place: not through a link.
    steps.append(f"[ ! -L {final} ] || rm {final}; sync")
    steps.append(f"if [ -d {final} ]; then mv -f {arriving}/* {final}/; else mv {arriving} {final}; fi; sync")
    steps += [f"rm -rf incoming/{sha}" for sha in new]
    check(home.run("\n".join(steps), timeout_s=_TIMEOUT_S), "moving the release into place", home.where)
    found = sums(home, [home.at("releases", digest, name) for name in files])
    wrong = [name for (name, sha), got in zip(files.items(), found, strict=True) if got != sha]
    if wrong:
        raise BoardError(
            f"{', '.join(wrong)} arrived corrupt", where=home.where, next="Run again; nothing was activated."
        )
    return sent


def activate(home: Home, digest: str) -> None:
    """Serve that release from now on: one rename. The one served before becomes `previous`.

    Raises BoardError if it is damaged, if the board demands a signature that it lacks, or if the lock was lost.
    """
    now = read_releases(home)
    wrong = damaged(home, now, [digest]) if digest in now.available else {digest: ["all of it"]}
    if wrong:
        missing = ", ".join(wrong[digest])
        raise BoardError(f"has no complete release {digest[:12]}: missing {missing}", where=home.where)
    if now.demand_signature:
        require_signature(home, digest)
    before = {"previous": now.current} if now.current and now.current != digest else {}
    _link(home, **before, current=digest)


def rollback(home: Home) -> tuple[str, str]:
    """Serve the previous release again; returns (from, to). Raises BoardError if there is none, or it is damaged."""
    now = read_releases(home)
    if not now.current or not now.previous or now.previous == now.current:
        raise BoardError(
            "has no previous release to roll back to",
            where=home.where,
            next=f"`deploy status --target {home.where}` shows what is on the board.",
        )
    wrong = damaged(home, now, [now.previous])
    if wrong:
        raise BoardError(
            f"the previous release is damaged: {', '.join(wrong[now.previous])}",
            where=home.where,
            next="It still serves what it served; deploy again to replace the damaged one.",
        )
    if now.demand_signature:
        require_signature(home, now.previous)
    _link(home, current=now.previous, previous=now.current)
    return now.current, now.previous


def remove(home: Home, digest: str) -> None:
    """Delete a release that is neither in service nor the one to roll back to; it loses its name before its bytes."""
    now = read_releases(home)
    if digest in (now.current, now.previous):
        return
    with scratch(home, "removed") as aside:
        folder = home.within(release_folder(home, digest))
        learned = " ".join(home.within(each) for each in (adapted_file(home, digest), *kept_files(home, digest)))
        gone = f"rm -f {learned} && {{ rm -rf {home.within(plain_folder(home, digest))} || :; }}"
        steps = f"{home.guard} && if [ -e {folder} ]; then mv {folder} {home.within(aside)}; fi && {gone}"
        check(home.run(steps), "removing a release", home.where)


def collect(home: Home, keep: int) -> list[str]:
    """Remove all but the newest `keep` releases, never the one in service nor the one before; returns what went."""
    now = read_releases(home)
    kept = list(dict.fromkeys(d for d in (now.current, now.previous, *now.available) if d))[: max(keep, 2)]
    gone = [digest for digest in now.available if digest not in kept]
    for digest in gone:
        remove(home, digest)
    return gone


def _link(home: Home, **targets: str) -> None:
    """Point symlinks at releases, in that order, each by one rename: it is never absent, never half.

    The plain files of what `current` serves follow it.
    """
    steps = [home.guard]
    for name, digest in targets.items():
        new = f"work/{name}.{secrets.token_hex(4)}"
        steps += [f"ln -s releases/{digest} {new}", f"mv -T {new} {name}", "sync"]
    served = f" || exit 1\n{lead_to(home, targets['current'])}sync"
    check(home.run(" && ".join(steps) + served), f"setting {' and '.join(targets)}", home.where)
