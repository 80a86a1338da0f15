"""Baselines: what a release took when that was last declared right, one JSON file each, to be committed with the tests.

A baseline counts for one target, device, runtime version, number of threads and reference workload.
"""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from toolkit import __version__
from toolkit.cache import digest
from toolkit.errors import BadInput
from toolkit.testing.samples import Samples


class Baseline(BaseModel):
    """Samples under the name of a regression test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    toolkit_version: str
    name: str
    samples: Samples


def baseline_path(folder: Path, name: str, samples: Samples) -> Path:
    """Where the baseline of that name for those circumstances lies. Raises BadInput for a name that is no file's."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise BadInput(f"'{name}' cannot name a regression", next="Use letters, digits, dots, dashes and underscores.")
    version = f"{samples.runtime}-{samples.runtime_version}"
    key = digest(samples.device, samples.threads, samples.clock, samples.reference)[:8]
    return folder / samples.target / f"{name}.{version}.{key}.json"


def read_baseline(path: Path) -> Baseline:
    """Raises BadInput for what is not a baseline of this version, or was moved to another's place."""
    advice = "Restore it from version control, or measure it again with --update-baselines."
    try:
        baseline = Baseline.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path), next=advice) from None
    except (ValidationError, UnicodeDecodeError) as error:
        what = "not UTF-8"
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            what = f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
        raise BadInput(f"is not a baseline of this version ({what})", where=str(path), next=advice) from None
    if baseline_path(path.parents[1], baseline.name, baseline.samples) != path:
        raise BadInput("does not hold what its name says", where=str(path), next=advice)
    return baseline


def write_baseline(path: Path, name: str, samples: Samples) -> None:
    """It appears by one rename. Raises BadInput where it cannot be written."""
    text = Baseline(toolkit_version=__version__, name=name, samples=samples).model_dump_json(indent=1)
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise BadInput(
            f"cannot be written: {error.strerror}", where=str(path), next="Choose another folder with --baselines."
        ) from None


def others(path: Path, name: str) -> list[str]:
    """Baselines of that name for other devices, runtimes or versions, by their files' names."""
    return sorted(each.name for each in path.parent.glob(f"{name}.*.json")) if path.parent.is_dir() else []
