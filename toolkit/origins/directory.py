"""A Hugging Face directory, as `save_pretrained` writes it: config.json, weights, and at times a processor."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import BadInput, first_line


@dataclass(frozen=True)
class Directory:
    """`config` is its config.json; code that it brings is run if it is `trusted`."""

    path: Path
    config: dict[str, Any]
    trusted: bool

    @property
    def where(self) -> str:
        """As the user named it."""
        return f"hf:{self.path}"

    @property
    def options(self) -> dict[str, Any]:
        """What every `from_pretrained` is called with: nothing is downloaded."""
        return {"local_files_only": True, "trust_remote_code": self.trusted}


def read_directory(path: Path, trusted: bool) -> Directory:
    """Raises BadInput if there is none, or its config.json cannot be read."""
    where = f"hf:{path}"
    save = "Name a directory that save_pretrained wrote, with config.json and weights."
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        missing = "has no config.json" if path.is_dir() else "there is no such directory"
        raise BadInput(missing, where=where, next=save) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"has a config.json that cannot be read: {first_line(error)}", where=where, next=save) from None
    if not isinstance(config, dict):
        raise BadInput("has a config.json that is no table", where=where, next=save)
    return Directory(path, config, trusted)
