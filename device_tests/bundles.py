"""Bundles without a program, for what concerns files alone."""

import hashlib
import json
import os
from pathlib import Path

from toolkit.devices.releases.manifest import NAME, VERSION


def plain_bundle(folder: Path, size: int, *, ballast: bytes | None = None, note: str = "") -> Path:
    """A manifest and one file of `size` random bytes, or of those given."""
    folder.mkdir(parents=True)
    content = os.urandom(size) if ballast is None else ballast
    (folder / "ballast.bin").write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest = {"manifest_version": VERSION, "arch": "any", "note": note, "files": {"ballast.bin": entry}}
    (folder / NAME).write_text(json.dumps(manifest))
    return folder
