"""Releases on a board: immutable folders named by content, one symlink that says which is served.

`releases/<digest>/` holds a verified bundle, `current` and `previous` are symlinks swapped by one rename. Whatever happens
at whatever instant, `current` names a complete release.
"""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolkit.devices.agent_client import Agent, call
from toolkit.devices.device import check
from toolkit.errors import BoardError
from toolkit.units import format_bytes


@dataclass(frozen=True)
class ReleaseStatus:
    """Digests of the release in service, the one before, and all that are complete on the board."""

    current: str | None
    previous: str | None
    available: tuple[str, ...]
    adapted: bool
    disk_free_bytes: int


def release_folder(agent: Agent, digest: str) -> str:
    """Where a release of that digest lies on the board."""
    return agent.at("releases", digest)


def adapted_file(agent: Agent, digest: str) -> str:
    """Where the board keeps what it learned on top of that release."""
    return agent.at("adapted", digest + ".npz")


def install(agent: Agent, bundle: Path, digest: str, on_progress: Callable[[int, int], None]) -> bool:
    """Put the bundle on the board and verify every digest there; nothing is activated.

    Returns False if the board already had it whole. Raises BoardError; the board then serves what it served before.
    """
    final = release_folder(agent, digest)
    if agent.device.run(f"test -d {shlex.quote(final)}").status == 0:
        if not _corrupt(agent, final):
            return False
        check(agent.device.run(f"rm -rf {shlex.quote(final)}"), "removing a corrupt release", agent.where)
    files = sorted(bundle.iterdir())
    needed, free = sum(file.stat().st_size for file in files), disk_free_bytes(agent)
    if needed * 1.1 > free:
        raise BoardError(
            f"disk full: the release needs {format_bytes(needed)}, {format_bytes(free)} are free",
            where=f"{agent.where}:{agent.root}",
            next="Make room on the board, then run again; it still serves what it served before.",
        )
    incoming = agent.at("incoming", digest)
    check(agent.device.run(f"rm -rf {shlex.quote(incoming)} && mkdir {shlex.quote(incoming)}"), "making room", agent.where)
    try:
        for index, file in enumerate(files):
            agent.device.push(file, f"{incoming}/{file.name}")
            on_progress(index + 1, len(files))
        corrupt = _corrupt(agent, incoming)
        if corrupt:
            raise BoardError(
                f"{', '.join(corrupt)} arrived corrupt", where=agent.where, next="Run again; nothing was activated."
            )
    except BoardError:
        agent.device.run(f"rm -rf {shlex.quote(incoming)}")
        raise
    move = f"sync && mv {shlex.quote(incoming)} {shlex.quote(final)} && sync"
    check(agent.device.run(move, timeout_s=300), "moving the release into place", agent.where)
    return True


def activate(agent: Agent, digest: str) -> None:
    """Serve that release from now on: one rename. The one served before becomes `previous`."""
    now = status(agent)
    if digest not in now.available:
        raise BoardError(f"has no complete release {digest[:12]}", where=agent.where)
    if now.current not in (None, digest):
        _link(agent, "previous", str(now.current))
    _link(agent, "current", digest)


def rollback(agent: Agent) -> tuple[str, str]:
    """Serve the previous release again; returns (from, to). Raises BoardError if there is none."""
    now = status(agent)
    if not now.current or not now.previous or now.previous == now.current or now.previous not in now.available:
        raise BoardError(
            "has no previous release to roll back to",
            where=agent.where,
            next="`deploy status` shows what is on the board.",
        )
    _link(agent, "current", now.previous)
    _link(agent, "previous", now.current)
    return now.current, now.previous


def remove(agent: Agent, digest: str) -> None:
    """Delete a release that is not in service."""
    if status(agent).current != digest:
        check(agent.device.run(f"rm -rf {shlex.quote(release_folder(agent, digest))}"), "removing a release", agent.where)


def status(agent: Agent) -> ReleaseStatus:
    """What is on the board."""
    script = (
        f"cd {shlex.quote(agent.root)} && for l in current previous; do basename \"$(readlink $l || echo -)\"; done && ls releases"
    )
    lines = check(agent.device.run(script), "reading releases", agent.where).stdout.decode().split()
    current, previous = (None if line == "-" else line for line in lines[:2])
    adapted = current is not None and agent.device.run(f"test -f {shlex.quote(adapted_file(agent, current))}").status == 0
    return ReleaseStatus(current, previous, tuple(lines[2:]), adapted, disk_free_bytes(agent))


def disk_free_bytes(agent: Agent) -> int:
    """Bytes free on the file system that holds the releases."""
    table = check(agent.device.run(f"df -Pk {shlex.quote(agent.root)}"), "reading free space", agent.where)
    return int(table.stdout.decode().splitlines()[-1].split()[3]) * 1024


def read_release(agent: Agent, digest: str) -> dict[str, object]:
    """The manifest of a release on the board."""
    text = check(
        agent.device.run(f"cat {shlex.quote(release_folder(agent, digest))}/manifest.json"), "reading the manifest", agent.where
    )
    manifest: dict[str, object] = json.loads(text.stdout)
    return manifest


def _corrupt(agent: Agent, folder: str) -> list[str]:
    corrupt: list[str] = call(agent, "verify", {"release": folder, "digests_only": True})["corrupt"]
    return corrupt


def _link(agent: Agent, name: str, digest: str) -> None:
    """Point the symlink at a release by one rename: it is never absent, never half."""
    steps = f"cd {shlex.quote(agent.root)} && ln -sfn releases/{digest} {name}.new && mv -T {name}.new {name} && sync"
    check(agent.device.run(steps), f"setting {name}", agent.where)
