"""What a board holds: its releases, which is served, and whether their bytes are what their names say."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from toolkit.devices.device import check
from toolkit.devices.digests import sums
from toolkit.devices.home import Home
from toolkit.devices.releases.manifest import NAME, Manifest, is_digest, parse_manifest
from toolkit.errors import BadInput

# One way there and back, however many releases: a serial line takes its time for each.
_READ = """for link in current previous; do basename "$(readlink $link || echo -)"; done
[ -s trusted ] && echo trusted || echo -
for release in $(ls -t releases); do
  echo "$release $(wc -c < releases/$release/{name} || echo 0)"
  cat releases/$release/{name}
done 2>/dev/null
:"""


@dataclass(frozen=True)
class Releases:
    """The digest of the release in service and of the one before; manifests of all, by digest, the newest first.

    A manifest is None where it is missing, altered, or of a form that this version does not know.
    """

    current: str | None
    previous: str | None
    manifests: Mapping[str, Manifest | None]
    demand_signature: bool

    @property
    def available(self) -> tuple[str, ...]:
        """Digests of all of them."""
        return tuple(self.manifests)


def release_folder(home: Home, digest: str) -> str:
    """Where a release of that digest lies on the board."""
    return home.at("releases", digest)


def adapted_file(home: Home, digest: str) -> str:
    """Where the board keeps what it learned on top of that release."""
    return home.at("adapted", digest + ".safetensors")


def read_releases(home: Home) -> Releases:
    """Read it all; a link to a folder that is not there counts as none. Raises BoardError."""
    script = _READ.format(name=NAME)
    return parse_releases(check(home.ask(script), "reading releases", home.where).stdout)


def parse_releases(said: bytes) -> Releases:
    """From what the board printed: two links, whether it trusts keys, then `digest size` and a manifest, repeated."""
    current, previous, trusted, rest = (said.split(b"\n", 3) + [b""] * 4)[:4]
    manifests: dict[str, Manifest | None] = {}
    while head := re.match(rb"(\S+) +(\d{1,9})\n", rest):
        digest, end = head[1].decode(errors="replace"), head.end() + int(head[2])
        text, rest = rest[head.end() : end], rest[end:]
        if is_digest(digest):
            manifests[digest] = _parse(text, digest)
    links = (link.decode(errors="replace") for link in (current, previous))
    found = [link if link in manifests else None for link in links]
    return Releases(found[0], found[1], manifests, trusted == b"trusted")


def contents(manifest: Manifest, digest: str) -> dict[str, str]:
    """SHA-256 of every file of a release by name, the manifest itself included."""
    return {name: entry.sha256 for name, entry in manifest.files.items()} | {NAME: digest}


def damaged(home: Home, releases: Releases, digests: Iterable[str]) -> dict[str, list[str]]:
    """Of those releases, the ones that are not whole, with the names of their missing or altered files."""
    wrong: dict[str, list[str]] = {}
    expected: dict[str, tuple[str, str, str]] = {}
    for digest in digests:
        manifest = releases.manifests.get(digest)
        if manifest is None:
            wrong[digest] = [NAME]
            continue
        for name, sha in contents(manifest, digest).items():
            expected[home.at("releases", digest, name)] = (digest, name, sha)
    found = sums(home, list(expected)) if expected else []
    for (digest, name, sha), got in zip(expected.values(), found, strict=True):
        if got != sha:
            wrong.setdefault(digest, []).append(name)
    return wrong


def held(home: Home, releases: Releases, wanted: Iterable[str]) -> dict[str, list[str]]:
    """Where on the board, by SHA-256, the wanted contents lie unaltered in some release."""
    paths = {
        home.at("releases", digest, name): sha
        for digest, manifest in releases.manifests.items()
        if manifest
        for name, sha in contents(manifest, digest).items()
        if sha in set(wanted)
    }
    found = sums(home, list(paths)) if paths else []
    places: dict[str, list[str]] = {}
    for (path, sha), got in zip(paths.items(), found, strict=True):
        if got == sha:
            places.setdefault(sha, []).append(path)
    return places


def _parse(text: bytes, digest: str) -> Manifest | None:
    if hashlib.sha256(text).hexdigest() != digest:
        return None
    try:
        return parse_manifest(text, digest)
    except BadInput:  # made by another version of this toolkit, which alone can judge it
        return None
