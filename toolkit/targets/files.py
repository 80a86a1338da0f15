"""Families and targets as files: `targets/NAME.toml`, shipped ones overridden by the working folder's.

A file with `family = "NAME"` is one board of that family: its place, and the settings that differ. A file without is a
family of its own.
"""

import difflib
import shlex
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from toolkit.errors import BadInput
from toolkit.shipped import shipped_folder
from toolkit.targets.family import Family
from toolkit.targets.host import looks_like_an_address, place_at
from toolkit.targets.target import Target, settings_of, usual_target

Model = TypeVar("Model", bound=BaseModel)

_MEND = "Mend the file and run again."


def load_target(name: str, host: str | None = None) -> Target:
    """The target of that name; at the address `host`, which `place_at` reads, if one is given.

    Raises BadInput with the nearest names, with every error of its file, or if there is no such address.
    """
    files = target_files()
    if name not in files:
        raise _unknown(name, files)
    found = read_entry(files[name])
    place = found.place if host is None else place_at(host, found.place)
    return found.model_copy(update={"place": place}) if isinstance(found, Target) else usual_target(found, place)


def load_family(name: str) -> Family:
    """The family of that name. Raises BadInput with the nearest names, or with every error of its file."""
    files = _family_files()
    if name not in files:
        raise BadInput(f"unknown family '{name}'", next=f"{_nearest(name, files)}Families: {', '.join(sorted(files))}.")
    return _family(_parse(files[name]), files[name])


def read_target(path: Path) -> Target:
    """The target of one file. Raises BadInput, as `read_entry` does, or if the file is of a family without a place."""
    found = read_entry(path)
    return found if isinstance(found, Target) else usual_target(found, found.place)


def read_entry(path: Path) -> Target | Family:
    """What one file describes. Raises BadInput that lists every error of the file, not the first."""
    data = _parse(path)
    return _target(data, path) if "family" in data else _family(data, path)


def read_entries() -> tuple[tuple[Target | Family, ...], tuple[BadInput, ...]]:
    """What every target's file describes, and why not where a file is broken: the others are none the worse for it."""
    found: list[Target | Family] = []
    broken: list[BadInput] = []
    for path in target_files().values():
        try:
            found.append(read_entry(path))
        except BadInput as error:
            broken.append(error)
    return tuple(found), tuple(broken)


def target_files() -> dict[str, Path]:
    """Every target's file by name; the working folder's `targets/` wins over the shipped ones."""
    return {path.stem: path for folder in _folders() for path in sorted(folder.glob("*.toml"))}


def expand_path(text: str) -> Path:
    """A path from a target file on this machine, with `~` expanded."""
    return Path(text).expanduser()


def _folders() -> tuple[Path, Path]:
    return shipped_folder("targets"), Path("targets")


def _target(data: dict[str, Any], path: Path) -> Target:
    errors: list[str] = []
    families = _family_files()
    name = data.pop("family")
    if isinstance(name, str) and name in families:
        file = families[name]
    else:  # the rest of the file is checked against any family, so that all its errors are told at once
        errors.append(f"family: unknown family '{name}'. {_nearest(str(name), families)}".rstrip())
        file = shipped_folder("targets") / "host.toml"
    family = _family(_parse(file), file)
    if isinstance(data.get("budget"), dict):
        data["budget"] = family.budget.model_dump() | data["budget"]
    return _checked(Target, settings_of(family) | data | {"family": family}, path, errors)


def _family(data: dict[str, Any], path: Path) -> Family:
    return _checked(Family, data, path, [])


def _family_files() -> dict[str, Path]:
    """Families by name. A board in the working folder may bear its family's own name, and hides nothing then."""
    files: dict[str, Path] = {}
    for folder in _folders():
        files |= {path.stem: path for path in sorted(folder.glob("*.toml")) if _is_family(path)}
    return files


def _is_family(path: Path) -> bool:
    try:
        return "family" not in _parse(path)
    except BadInput:  # a broken file is the business of whoever asks for it
        return False


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"it cannot be read: {error.strerror}", where=str(path), next=_MEND) from None
    except (ValueError, RecursionError) as error:  # tomllib lets int() and deep nesting raise theirs
        raise BadInput(str(error), where=str(path), next=_MEND) from None


def _checked(kind: type[Model], data: dict[str, Any], path: Path, errors: list[str]) -> Model:
    """The model of a file's content. Raises BadInput with `errors` and all that are wrong besides."""
    data = {"name": path.stem} | data
    if data["name"] != path.stem:
        errors.append(f"name: '{data['name']}' is not the file's name, '{path.stem}'")
    try:
        found = kind.model_validate(data)
    except ValidationError as error:
        errors += [_line(each["loc"], each["msg"]) for each in error.errors()]
    if errors:
        raise BadInput("; ".join(errors), where=str(path), next=_MEND)
    return found


def _unknown(name: str, names: Collection[str]) -> BadInput:
    if looks_like_an_address(name) and not name.endswith(".toml"):
        address = shlex.quote(name)
        return BadInput(
            f"'{name}' is an address, and no target's name",
            next=f"`deploy connect {address}` makes it one; or say what it is: `--target FAMILY --host {address}`.",
        )
    next = f"{_nearest(name.removesuffix('.toml'), names)}`deploy targets` lists all {len(names)}."
    return BadInput(f"no target is named '{name}'", next=next)


def _line(field: tuple[int | str, ...], what: str) -> str:
    """One error. A table of before has another name now; the transport in a place's path is no key of the file."""
    if field == ("connection",):
        return "connection: write [place] instead, and for a console `device` instead of `serial`"
    if field == ("place",):
        return "place: write [place] with transport = 'ssh', 'adb', 'serial' or 'local', and where the board is"
    keys = [str(key) for index, key in enumerate(field) if (index, field[0]) != (1, "place")]
    return f"{'.'.join(keys) or 'file'}: {what.removeprefix('Value error, ')}"


def _nearest(name: str, names: Iterable[str]) -> str:
    """A question that ends with a space, or nothing."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    return f"Did you mean {' or '.join(near)}? " if near else ""
