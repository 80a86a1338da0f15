"""The part of a bundle's manifest that installing relies on: which files, of what content, for which machine."""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from toolkit.devices.digests import sha256_of
from toolkit.errors import BadInput

NAME = "manifest.json"
SIGNATURE = "manifest.json.sig"
VERSION = 3

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# One name inside the bundle's folder: no slash, and neither `.`, `..` nor a hidden file.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$")]


class FileEntry(BaseModel):
    """Content of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Sha256
    bytes: int = Field(ge=0)


class Manifest(BaseModel):
    """What a release consists of; the agent's own fields are further ones."""

    model_config = ConfigDict(frozen=True, extra="allow")

    manifest_version: Literal[3]
    arch: Literal["x86_64", "aarch64", "any"]
    files: dict[FileName, FileEntry] = Field(min_length=1)


def parse_manifest(text: bytes, where: str) -> Manifest:
    """Raises BadInput that lists all that is wrong with it; file names cannot leave the bundle's folder."""
    try:
        manifest = Manifest.model_validate(json.loads(text))
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in error.errors()]
        raise BadInput(
            "; ".join(wrong[:5]), where=where, next="Export the bundle again; nothing was installed."
        ) from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"is not JSON: {error}", where=where, next="Export the bundle again.") from None
    if NAME in manifest.files or SIGNATURE in manifest.files:
        raise BadInput("names itself as one of its files", where=where, next="Export the bundle again.")
    return manifest


def read_local(bundle: Path) -> tuple[str, Manifest]:
    """Digest (SHA-256 of the manifest) and manifest of a bundle's folder. Raises BadInput if a file is altered."""
    path = bundle / NAME
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path), next="Name a bundle's folder.") from None
    manifest = parse_manifest(text, str(path))
    for name, entry in manifest.files.items():
        file = bundle / name
        if not file.is_file() or sha256_of(file) != entry.sha256:
            raise BadInput(f"{name} is missing or altered", where=str(bundle), next="Export the bundle again.")
    return hashlib.sha256(text).hexdigest(), manifest


def is_digest(text: str) -> bool:
    """Whether that is the name of a release."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None
