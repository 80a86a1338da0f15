"""What a board holds: its releases, which is served, and whether their bytes are what their names say."""

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.devices.device import check
from toolkit.devices.digests import sums
from toolkit.devices.home import Home
from toolkit.devices.manifest import NAME, Manifest, is_digest, parse_manifest
from toolkit.errors import BadInput


@dataclass(frozen=True)
class Releases:
    """Digests of the release in service, the one before, and all that are on the board, newest first."""

    current: str | None
    previous: str | None
    available: tuple[str, ...]


def release_folder(home: Home, digest: str) -> str:
    """Where a release of that digest lies on the board."""
    return home.at("releases", digest)


def adapted_file(home: Home, digest: str) -> str:
    """Where the board keeps what it learned on top of that release."""
    return home.at("adapted", digest + ".safetensors")


def read_releases(home: Home) -> Releases:
    """The symlinks and the folders; a link to a folder that is not there counts as none."""
    links = 'for l in current previous; do basename "$(readlink $l || echo -)"; done'
    script = f"cd {shlex.quote(home.root)} && {links} && ls -t releases"
    lines = check(home.device.run(script), "reading releases", home.where).stdout.decode(errors="replace").split()
    available = tuple(line for line in lines[2:] if is_digest(line))
    current, previous = (line if line in available else None for line in lines[:2])
    return Releases(current, previous, available)


def manifest_text(home: Home, digest: str) -> bytes | None:
    """The release's manifest if it is there and unaltered."""
    text = home.device.run(f"cat {shlex.quote(home.at('releases', digest, NAME))}").stdout
    return text if hashlib.sha256(text).hexdigest() == digest else None


def damaged(home: Home, digest: str) -> list[str]:
    """Names of the release's files that are missing or altered."""
    text = manifest_text(home, digest)
    if text is None:
        return [NAME]
    try:
        manifest = parse_manifest(text, f"{home.where}: release {digest[:12]}")
    except BadInput:  # made by another version of this toolkit, which alone can judge it
        return [NAME]
    return differences(home, digest, contents(manifest, digest))


def contents(manifest: Manifest, digest: str) -> dict[str, str]:
    """SHA-256 of every file of a release by name, the manifest itself included."""
    return {name: entry.sha256 for name, entry in manifest.files.items()} | {NAME: digest}


def differences(home: Home, digest: str, files: Mapping[str, str]) -> list[str]:
    """Names of those files that are missing from the release's folder or are not what they should be."""
    found = sums(home, [home.at("releases", digest, name) for name in files])
    return [name for (name, sha), got in zip(files.items(), found, strict=True) if got != sha]


def held(home: Home, wanted: Mapping[str, str]) -> dict[str, str]:
    """Path on the board, by SHA-256, of the wanted contents that some release holds unaltered."""
    paths: dict[str, str] = {}
    for digest in read_releases(home).available:
        text = manifest_text(home, digest)
        if text is None:
            continue
        try:
            manifest = parse_manifest(text, digest)
        except BadInput:
            continue
        paths |= {
            entry.sha256: home.at("releases", digest, name)
            for name, entry in manifest.files.items()
            if entry.sha256 in wanted.values()
        }
    found = sums(home, list(paths.values())) if paths else []
    return {sha: path for (sha, path), got in zip(paths.items(), found, strict=True) if got == sha}
