"""What a board serves at one instant: two links that a deployer or a learner swaps, each by one rename."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from .digests import read_manifest, sha256
from .errors import EdgeRuntimeError
from .release import load_tensors

HOME = "~/.edge-deploy"
_DEPLOY = "Deploy a release to this board: deploy --target NAME."


@dataclass(frozen=True)
class Served:
    """The release in service, and which state of what was learned on top of it (None: none)."""

    root: str
    digest: str
    state: tuple[int, ...] | None

    @property
    def folder(self) -> str:
        """Where the release lies."""
        return os.path.join(self.root, "releases", self.digest)

    @property
    def adapted(self) -> str:
        """Where what was learned lies, if something was."""
        return os.path.join(self.root, "adapted", self.digest + ".safetensors")


def look(root: str) -> Served:
    """What is served now: two system calls, for it is asked at every call of a model. Raises EdgeRuntimeError."""
    try:
        digest = os.readlink(root + "/current").rpartition("/")[2]
    except OSError:
        raise EdgeRuntimeError("serves no release", where=root, next=_DEPLOY) from None
    return state_of_release(root, digest)


def state_of_release(root: str, digest: str) -> Served:
    """What it serves, or would."""
    try:
        found = os.stat(root + "/adapted/" + digest + ".safetensors")
    except OSError:
        return Served(root, digest, None)
    return Served(root, digest, (found.st_ino, found.st_mtime_ns, found.st_size))


def read(served: Served) -> tuple[dict[str, Any], Any]:
    """The release's manifest, and its tensors with what was learned; what serves is checked against its digest.

    Raises EdgeRuntimeError for one that is missing or damaged.
    """
    path = os.path.join(served.folder, "manifest.json")
    try:
        whole = sha256(path) == served.digest
        manifest = read_manifest(served.folder) if whole else None
    except (OSError, ValueError):
        manifest = None
    if manifest is None:
        raise _damaged(served, "manifest.json")
    for name in (manifest["infer"]["program"], "tensors.safetensors"):
        file = os.path.join(served.folder, name)
        if not os.path.isfile(file) or sha256(file) != manifest["files"][name]["sha256"]:
            raise _damaged(served, name)
    try:
        return manifest, load_tensors(served.folder, served.adapted if served.state else None)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        raise EdgeRuntimeError(
            f"what was learned cannot be read: {error}",
            where=served.adapted,
            next="deploy adapt --target NAME --undo, or delete that file: the release serves as it was installed.",
        ) from None


def _damaged(served: Served, name: str) -> EdgeRuntimeError:
    return EdgeRuntimeError(
        f"{name} of release {served.digest[:12]} is missing or damaged",
        where=served.root,
        next="Deploy it again, or go back: deploy rollback --target NAME.",
    )
