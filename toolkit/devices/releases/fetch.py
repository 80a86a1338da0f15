"""A release's files from the board, each one checked."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.devices.digests import sha256_of
from toolkit.devices.home import Home
from toolkit.devices.releases.inventory import Releases, adapted_file, contents, read_releases
from toolkit.devices.releases.manifest import NAME
from toolkit.errors import BadInput, BoardError


def choose(home: Home, releases: Releases, wanted: str | None) -> str:
    """The digest that begins with `wanted`; of the release in service where that is None. Raises BadInput for none."""
    if wanted is None and releases.current:
        return releases.current
    found = [digest for digest in releases.available if wanted and digest.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(digest[:12] for digest in releases.available) or "none"
    many = f"{len(found)} releases" if found else "no release"
    begins = f"has {many} whose digest begins with {wanted}: it has {there}"
    raise BadInput(
        begins if wanted else "serves no release",
        where=home.where,
        next=f"`deploy status --target {home.where}` shows what is on the board.",
    )


@dataclass(frozen=True)
class Fetched:
    """A release of which some files lie in a local folder; `manifest` is all that its own says."""

    digest: str
    manifest: dict[str, Any]
    folder: Path
    releases: Releases


@contextmanager
def opened(home: Home, wanted: str | None, *, also: Iterable[str] = ()) -> Iterator[Fetched]:
    """The release that `choose` finds: its manifest, and those files that it has; the folder goes at the end.

    Raises what `choose` and `fetch` do.
    """
    releases = read_releases(home)
    digest = choose(home, releases, wanted)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fetch(home, releases, digest, [NAME], folder)
        manifest = json.loads((folder / NAME).read_bytes())
        fetch(home, releases, digest, [name for name in also if name in manifest["files"]], folder)
        yield Fetched(digest, manifest, folder, releases)


def fetch(home: Home, releases: Releases, digest: str, names: Iterable[str], folder: Path) -> None:
    """Those files of a release into a local folder. Raises BoardError if one is damaged."""
    manifest = releases.manifests[digest]
    sums = contents(manifest, digest) if manifest else {}
    for name in names:
        if name in sums:
            home.device.pull(home.at("releases", digest, name), folder / name)
        if name not in sums or sha256_of(folder / name) != sums[name]:
            raise BoardError(
                f"{name} of release {digest[:12]} is missing or damaged",
                where=home.where,
                next="Run the deployment that made it again: it mends what is damaged.",
            )


def has_learned(home: Home, digest: str) -> bool:
    """Whether the board has learned something on top of that release."""
    return home.ask(f"test -f adapted/{digest}.safetensors").status == 0


def fetch_learned(home: Home, digest: str, folder: Path) -> Path:
    """What the board has learned on top of that release. Raises BadInput if that is nothing."""
    if not has_learned(home, digest):
        raise BadInput(
            f"has learned nothing on top of release {digest[:12]}",
            where=home.where,
            next="Leave --adapted out for the release as it was installed.",
        )
    local = folder / "adapted.safetensors"
    home.device.pull(adapted_file(home, digest), local)
    return local
