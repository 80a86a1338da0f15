"""What a board serves at one instant: a link that a deployer swaps, and a file that a learner swaps, by one rename."""

from __future__ import annotations

import os
from collections.abc import Iterable
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
    """What is served now. Raises EdgeRuntimeError."""
    try:
        digest = os.readlink(root + "/current").rpartition("/")[2]
    except (FileNotFoundError, NotADirectoryError):
        raise EdgeRuntimeError("serves no release", where=root, next=_DEPLOY) from None
    except OSError as error:
        raise closed(root, error) from None
    return state_of_release(root, digest)


def state_of_release(root: str, digest: str) -> Served:
    """What it serves, or would. Raises EdgeRuntimeError where that may not be seen."""
    try:
        found = os.stat(root + "/adapted/" + digest + ".safetensors")
    except (FileNotFoundError, NotADirectoryError):
        return Served(root, digest, None)
    except OSError as error:
        raise closed(root, error) from None
    return Served(root, digest, (found.st_ino, found.st_mtime_ns, found.st_size))


def read(served: Served) -> tuple[dict[str, Any], Any]:
    """The release's manifest, and its tensors with what was learned; what serves is checked against its digest.

    Raises EdgeRuntimeError for one that is missing, damaged, or not this user's to read.
    """
    path = os.path.join(served.folder, "manifest.json")
    try:
        if sha256(path) != served.digest:
            raise _damaged(served, "manifest.json")
        manifest = read_manifest(served.folder)
    except PermissionError as error:
        raise closed(served.folder, error) from None
    except (OSError, ValueError):
        raise _damaged(served, "manifest.json") from None
    require_whole(served, manifest, [manifest["infer"]["program"], "tensors.safetensors"])
    try:
        return manifest, load_tensors(served.folder, served.adapted if served.state else None)
    except PermissionError as error:
        raise closed(served.adapted, error) from None
    except Exception as error:  # a damaged file may hold anything
        raise EdgeRuntimeError(
            f"what was learned cannot be read: {error}",
            where=served.adapted,
            next="deploy adapt --target NAME --undo, or delete that file: the release serves as it was installed.",
        ) from None


def require_whole(served: Served, manifest: dict[str, Any], names: Iterable[str]) -> None:
    """Raises EdgeRuntimeError if one of those files of the release is not what its manifest says."""
    for name in names:
        try:
            whole = sha256(os.path.join(served.folder, name)) == manifest["files"][name]["sha256"]
        except PermissionError as error:
            raise closed(served.folder, error) from None
        except OSError:
            whole = False
        if not whole:
            raise _damaged(served, name)


def closed(where: str, error: OSError) -> EdgeRuntimeError:
    """What this user may not read or write."""
    return EdgeRuntimeError(
        f"this user may not use it: {error.strerror or error}",
        where=where,
        next="Run the application as the user that the board is deployed to as.",
    )


def _damaged(served: Served, name: str) -> EdgeRuntimeError:
    return EdgeRuntimeError(
        f"{name} of release {served.digest[:12]} is missing or damaged",
        where=served.root,
        next="Deploy it again, or go back: deploy rollback --target NAME.",
    )
