"""Profile: measurements of one board, kept by signature and reused across models.

Keyed by what latencies depend on: the device's identity, runtime and version, threads. Saved after every batch, so
that an interrupted profile goes on where it stopped.
"""

import datetime
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from toolkit.cache import cache_folder, digest
from toolkit.devices import DeviceFacts
from toolkit.errors import BadInput
from toolkit.profiling.measurement import Measurement
from toolkit.shipped import shipped_folder
from toolkit.targets import Target


class Profile(BaseModel):
    """Rows by signature (a layer under one choice, or `program <sha256>` for a whole model), with their provenance.

    `process_bytes` holds peak memory of the process that ran a program, by the program's signature.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    target: str
    device: dict[str, Any]
    runtime: str
    runtime_version: str
    threads: int
    clock: str
    measured_at: str
    rows: dict[str, Measurement] = {}
    process_bytes: dict[str, int] = {}

    def with_rows(self, rows: dict[str, Measurement], process_bytes: dict[str, int]) -> "Profile":
        """The profile with further rows; newer ones win."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return self.model_copy(
            update={
                "rows": {**self.rows, **rows},
                "process_bytes": {**self.process_bytes, **process_bytes},
                "measured_at": now,
            }
        )


def open_profile(target: Target, facts: DeviceFacts, runtime: str, runtime_version: str) -> tuple[Profile, Path]:
    """What was measured on such a board before (or an empty profile), and the file that keeps it.

    This user's own measurements win over `profiles/` in the working folder, and those over the shipped ones. Raises
    BadInput if the file is damaged.
    """
    empty = Profile(
        target=target.name,
        device=facts.identity(),
        runtime=runtime,
        runtime_version=runtime_version,
        threads=target.threads,
        clock=target.clock,
        measured_at="",
    )
    key = digest(empty.device, runtime, runtime_version, target.threads, target.clock)[:16]
    name = f"{target.name}-{runtime}-{key}.json"
    own = cache_folder() / "profiles" / name
    found = next(
        (path for path in (own, Path("profiles") / name, shipped_folder("profiles") / name) if path.exists()), None
    )
    if found is None:
        return empty, own
    try:
        return Profile.model_validate(json.loads(found.read_text(encoding="utf-8"))), own
    except (ValidationError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"is damaged ({reason})", where=str(found), next="Delete it; the board is measured again."
        ) from None


def save_profile(profile: Profile, path: Path) -> None:
    """Write the profile; a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as file:
        file.write(profile.model_dump_json(indent=1))
    os.replace(file.name, path)  # noqa: PTH105
