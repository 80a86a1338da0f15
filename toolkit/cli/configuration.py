"""`--config` and `--set` become settings; every error of both is listed at once."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from toolkit.errors import BadInput
from toolkit.settings import Settings, all_settings


def read_settings(file: Path | None, sets: Sequence[str]) -> Settings:
    """Defaults, overridden by the file (TOML, a table a section), overridden by `section.name=value`, the last first.

    Raises BadInput that names every key and value that is wrong, with the nearest names of unknown keys.
    """
    tables = {} if file is None else _read(file)
    said, problems = _said(sets)
    for name, value in said.items():
        section, _, key = name.partition(".")
        inner = tables.setdefault(section, {})
        if isinstance(inner, dict):
            inner[key] = value
    try:
        settings = Settings.model_validate(tables)
    except ValidationError as error:
        problems += [_problem(each["loc"], each, said) for each in error.errors()]
    if problems:
        froms = dict.fromkeys("--set" if from_set else f"--config {file}" for from_set, _ in problems)
        raise BadInput(
            "; ".join(text for _, text in problems),
            where=" and ".join(froms),
            next="`deploy methods` lists every setting with what it takes and its default.",
        )
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
    except (ValueError, RecursionError) as error:  # tomllib lets int() and deep nesting raise theirs
        what = f"is no TOML: {error}"
    raise BadInput(what, where=f"--config {file}", next="Name a TOML file: `[recovery]`, `rate = 5e-3`.")


def _said(sets: Sequence[str]) -> tuple[dict[str, str], list[tuple[bool, str]]]:
    said, problems, names = {}, [], [each.name for each in all_settings()]
    for text in sets:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            problems.append((True, f"'{text}' has no value (write {name}=VALUE)"))
        elif name not in names:
            problems.append((True, _unknown(name)))
        else:
            said[name] = value
    return said, problems


def _problem(place: tuple[int | str, ...], error: Any, said: dict[str, str]) -> tuple[bool, str]:
    """Whether `--set` said it, and what is wrong."""
    name = ".".join(map(str, place))
    if error["type"] == "extra_forbidden":
        return False, _unknown(name)
    if error["type"] in ("model_type", "model_attributes_type"):
        return False, f"{name} is a section (write [{name}])"
    takes = {each.name: each.takes for each in all_settings()}.get(name)
    own_words = error["type"] == "value_error" or takes is None
    reason = error["msg"].removeprefix("Value error, ").rstrip(".") if own_words else f"it takes {takes}"
    return name in said, f"{name} cannot be {error['input']!r}: {reason}"


def _unknown(name: str) -> str:
    """With the setting that was probably meant: by its whole name, or by its last part alone."""
    names = [each.name for each in all_settings()]
    last = name.replace("-", ".").replace("_", ".").rpartition(".")[2]
    near = [each for each in names if each.endswith(f".{last}")] if "." not in name else []
    near = near or difflib.get_close_matches(name.replace("-", ".").replace("_", "."), names, n=1, cutoff=0.5)
    near = near or [each for each in names if difflib.get_close_matches(last, [each.rpartition(".")[2]], cutoff=0.7)]
    return f"'{name}' is no setting" + (f" (did you mean {' or '.join(near[:2])}?)" if near else "")
