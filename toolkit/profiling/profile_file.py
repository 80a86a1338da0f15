"""A profile as a file: what is read is what was measured, to the digit, or is refused in one line."""

import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from toolkit.cache import digest
from toolkit.errors import BadInput
from toolkit.profiling.profile import SCHEMA_VERSION, Profile

_AGAIN = "Delete it; the board is measured again."


class OtherSchema(BadInput):
    """A profile that another version of this toolkit wrote."""


def save_profile(profile: Profile, path: Path) -> None:
    """Write the profile; a reader sees the old file or the new one."""
    content = profile.model_dump(mode="json")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as file:
        json.dump({"checksum": digest(content), **content}, file, indent=1)
    os.replace(file.name, path)  # noqa: PTH105


def read_profile(path: Path, advice: str = _AGAIN) -> Profile:
    """The profile in a file. Raises BadInput: cut off, edited by hand, of another schema, or no file at all."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise BadInput("is damaged (no UTF-8)", where=str(path), next=advice) from None
    return parse_profile(text, str(path), advice)


def parse_profile(text: str, where: str, advice: str = _AGAIN) -> Profile:
    """The profile that a text holds. Raises BadInput, with the `advice` what to do about it."""
    try:
        content = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"is damaged ({_printable(error)})", where=where, next=advice) from None
    if not isinstance(content, dict):
        raise BadInput("is damaged (not a JSON object)", where=where, next=advice)
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise OtherSchema(
            f"is a profile of schema {_printable(version)}, this version reads schema {SCHEMA_VERSION}",
            where=where,
            next=advice,
        )
    checksum = content.pop("checksum", None)
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BadInput(
            f"is damaged ({_printable(place)}: {_printable(first['msg'])})", where=where, next=advice
        ) from None
    estimates = [key for key, flags in profile.flagged().items() if "estimate" in flags]
    if estimates:
        raise BadInput(f"holds an estimate for {_printable(estimates[0])}", where=where, next=advice)
    if checksum != digest(content):
        raise BadInput("was changed after it was measured (its checksum differs)", where=where, next=advice)
    return profile


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one key, JSON readers take one or the other."""
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"'{twice[0]}' occurs twice")
    return dict(pairs)


def _printable(what: object) -> str:
    """On one line, short, and such that any terminal can show it."""
    return " ".join(str(what).split())[:160].encode("utf-8", "backslashreplace").decode()
