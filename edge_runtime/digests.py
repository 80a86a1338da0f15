"""Digests of an installed release, and the manifest that holds them."""

import hashlib
import json
import os


def read_manifest(folder: str):  # type: ignore[no-untyped-def]
    """The manifest. Raises ValueError if a file's name leaves the folder."""
    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    for name in manifest["files"]:
        if os.path.basename(name) != name or name in ("", ".", ".."):
            raise ValueError("manifest names a file outside its folder: " + name)
    return manifest


def corrupt_files(folder: str, digest: str) -> "list[str]":
    """Names of files that are missing or altered: the manifest's SHA-256 is `digest`, and it holds the others'."""
    manifest_path = os.path.join(folder, "manifest.json")
    if not os.path.isfile(manifest_path) or sha256(manifest_path) != digest:
        return ["manifest.json"]
    wrong = []
    for name, entry in read_manifest(folder)["files"].items():
        path = os.path.join(folder, name)
        if not os.path.isfile(path) or sha256(path) != entry["sha256"]:
            wrong.append(name)
    return wrong


def sha256(path: str) -> str:
    """Digest of a file, read in pieces."""
    state = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            state.update(piece)
    return state.hexdigest()
