"""The state of a board as its owner wants to see it: what it serves, whether that is whole, who is at work on it."""

from dataclasses import dataclass

from toolkit.devices.disk import disk_free_bytes
from toolkit.devices.home import Home
from toolkit.devices.releases.fetch import has_learned
from toolkit.devices.releases.inventory import damaged, read_releases
from toolkit.devices.releases.lock import Holder, holder
from toolkit.devices.releases.profiles import read_profiles


@dataclass(frozen=True)
class BoardStatus:
    """`damaged` has, by release, the names of files that are missing or altered; `profile` is whose learning serves."""

    current: str | None
    previous: str | None
    available: tuple[str, ...]
    damaged: dict[str, list[str]]
    adapted: bool
    profile: str | None
    disk_free_bytes: int
    signatures_demanded: bool
    held_by: Holder | None

    @property
    def healthy(self) -> bool:
        """Whether all that it serves or could go back to is whole."""
        return not any(digest in self.damaged for digest in (self.current, self.previous))


def read_status(home: Home) -> BoardStatus:
    """Read it all, digests included. Raises BoardError."""
    releases = read_releases(home)
    wrong = damaged(home, releases, releases.available)
    return BoardStatus(
        releases.current,
        releases.previous,
        releases.available,
        wrong,
        releases.current is not None and has_learned(home, releases.current),
        read_profiles(home, releases.current).active if releases.current else None,
        disk_free_bytes(home),
        releases.demand_signature,
        holder(home),
    )
