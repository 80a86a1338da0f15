"""Releases on a board: immutable folders named by content, one symlink that says which is served.

`releases/<digest>/` holds a verified bundle, `current` and `previous` are symlinks swapped by one rename. Whatever
happens at whatever instant, `current` names a complete release.
"""

import secrets
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolkit.devices.agent_client import Agent, call, scratch
from toolkit.devices.device import check
from toolkit.devices.disk import disk_free_bytes, require_room
from toolkit.errors import BoardError


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
    final = shlex.quote(release_folder(agent, digest))
    is_there = agent.device.run(f"test -d {final}").status == 0
    if is_there and not _corrupt(agent, release_folder(agent, digest), digest):
        return False
    files = sorted(bundle.iterdir())
    require_room(agent, sum(file.stat().st_size for file in files), "the release")
    with scratch(agent, digest[:12]) as arriving, scratch(agent, "corrupt") as aside:
        check(agent.device.run(f"mkdir {shlex.quote(arriving)}"), "making room", agent.where)
        for index, file in enumerate(files):
            agent.device.push(file, f"{arriving}/{file.name}")
            on_progress(index + 1, len(files))
        corrupt = _corrupt(agent, arriving, digest)
        if corrupt:
            raise BoardError(
                f"{', '.join(corrupt)} arrived corrupt", where=agent.where, next="Run again; nothing was activated."
            )
        # A corrupt release of this digest gives way only once a whole one has arrived.
        give_way = f"mv -T {final} {shlex.quote(aside)} && " if is_there else ""
        move = f"sync && {give_way}mv -T {shlex.quote(arriving)} {final} && sync"
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
    corrupt = _corrupt(agent, release_folder(agent, now.previous), now.previous)
    if corrupt:
        raise BoardError(
            f"the previous release is damaged: {', '.join(corrupt)}",
            where=agent.where,
            next="It still serves what it served; deploy again to replace the damaged one.",
        )
    _link(agent, "current", now.previous)
    _link(agent, "previous", now.current)
    return now.current, now.previous


def remove(agent: Agent, digest: str) -> None:
    """Delete a release that is neither in service nor the one to roll back to."""
    now = status(agent)
    if digest not in (now.current, now.previous):
        check(
            agent.device.run(f"rm -rf {shlex.quote(release_folder(agent, digest))}"), "removing a release", agent.where
        )


def status(agent: Agent) -> ReleaseStatus:
    """What is on the board."""
    links = 'for l in current previous; do basename "$(readlink $l || echo -)"; done'
    script = f"cd {shlex.quote(agent.root)} && {links} && ls releases"
    lines = check(agent.device.run(script), "reading releases", agent.where).stdout.decode().split()
    current, previous = (None if line == "-" else line for line in lines[:2])
    adapted = (
        current is not None and agent.device.run(f"test -f {shlex.quote(adapted_file(agent, current))}").status == 0
    )
    return ReleaseStatus(current, previous, tuple(lines[2:]), adapted, disk_free_bytes(agent))


def _corrupt(agent: Agent, folder: str, digest: str) -> list[str]:
    corrupt: list[str] = call(agent, "check", {"release": folder, "digest": digest})["corrupt"]
    return corrupt


def _link(agent: Agent, name: str, digest: str) -> None:
    """Point the symlink at a release by one rename: it is never absent, never half."""
    new = f"{name}.{secrets.token_hex(4)}"  # of its own: two runs that activate at once do not meet
    steps = f"cd {shlex.quote(agent.root)} && ln -s releases/{digest} {new} && mv -T {new} {name} && sync"
    check(agent.device.run(steps), f"setting {name}", agent.where)
