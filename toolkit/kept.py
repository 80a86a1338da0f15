"""Numbers that take long to find, kept one by one: whoever is interrupted among many goes on with the next one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolkit.cache import cache_folder


@dataclass(frozen=True)
class Kept:
    """The numbers in one file, by name."""

    file: Path
    known: dict[str, float]


def open_kept(kind: str, key: str) -> Kept:
    """What was kept under `key`, which must tell apart all that the numbers depend on beside their names.

    A line that an interruption cut short is as if it were not there.
    """
    file = cache_folder() / kind / f"{key}.jsonl"
    file.parent.mkdir(exist_ok=True)
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    if text and not text.endswith("\n"):
        with file.open("a", encoding="utf-8") as lines:
            lines.write("\n")
    known: dict[str, float] = {}
    for line in text.splitlines():
        try:
            name, value = json.loads(line)
            known[name] = float(value)
        except (ValueError, TypeError):
            continue
    return Kept(file, known)


def keep(kept: Kept, name: str, find: Callable[[], float]) -> float:
    """The number of that name; `find()` is called, and what it returns is on the disk, if it was not known."""
    if name not in kept.known:
        value = find()
        with kept.file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps([name, value]) + "\n")
        kept.known[name] = value
    return kept.known[name]
