"""Profile: measurements of one kind of board, kept by signature and reused across models and equal boards."""

import datetime
from collections.abc import Collection
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt

from toolkit import __version__
from toolkit.profiling.measurement import Flag, Measurement
from toolkit.targets import Clock

SCHEMA_VERSION: Literal[3] = 3


class DeviceIdentity(BaseModel):
    """The facts of a board that latencies depend on; see `DeviceFacts.identity`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    cpu: str | None
    cores: PositiveInt
    ram_bytes: PositiveInt | None
    kernel: str
    libc: str | None
    board: str | None


class Batch(BaseModel):
    """Programs timed one after another, and the state of the board before and after, as its agent told it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    measured_at: str
    rows: tuple[str, ...]
    attempts: PositiveInt
    seconds: NonNegativeFloat
    before: dict[str, Any]
    after: dict[str, Any]
    flags: tuple[Flag, ...] = ()
    reasons: tuple[str, ...] = ()


class Profile(BaseModel):
    """Rows by signature (a layer under one choice, or `program <digest>` for a whole model), with their provenance.

    By a program's signature, `process_bytes` holds the peak memory of a process that ran nothing else, `program_bytes`
    the size of its file, and `left_in_fp32` what its runtime has no int8 for, of those where that is anything.
    `rate_hz` is the pace of the paced rows still to be measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[3] = SCHEMA_VERSION
    toolkit_version: str = __version__
    family: str
    device: DeviceIdentity
    runtime: str
    runtime_version: str
    threads: PositiveInt
    clock: Clock
    rate_hz: PositiveFloat | None = None
    measured_at: str = ""
    rows: dict[str, Measurement] = {}
    process_bytes: dict[str, PositiveInt] = {}
    program_bytes: dict[str, PositiveInt] = {}
    left_in_fp32: dict[str, tuple[str, ...]] = {}
    batches: tuple[Batch, ...] = ()

    def with_rows(
        self,
        rows: dict[str, Measurement],
        process_bytes: dict[str, int],
        batch: Batch | None = None,
        program_bytes: dict[str, int] | None = None,
        left_in_fp32: dict[str, tuple[str, ...]] | None = None,
    ) -> "Profile":
        """The profile with further rows; newer ones win, and leave the batch that they were in."""
        older = [
            each.model_copy(update={"rows": tuple(key for key in each.rows if key not in rows)})
            for each in self.batches
        ]
        return self.model_copy(
            update={
                "rows": {**self.rows, **rows},
                "process_bytes": {**self.process_bytes, **process_bytes},
                "program_bytes": {**self.program_bytes, **(program_bytes or {})},
                "left_in_fp32": {**self.left_in_fp32, **(left_in_fp32 or {})},
                "batches": (*(each for each in older if each.rows), *([batch] if batch else [])),
                "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "toolkit_version": __version__,
            }
        )

    def without(self, keys: Collection[str]) -> "Profile":
        """The profile as if those had never been measured."""
        kept = {key: row for key, row in self.rows.items() if key not in keys}
        batches = [
            each.model_copy(update={"rows": tuple(key for key in each.rows if key in kept)}) for each in self.batches
        ]
        return self.model_copy(update={"rows": kept, "batches": tuple(each for each in batches if each.rows)})

    def slowed(self, factor: float) -> "Profile":
        """The same board with every time of a call multiplied, as when its clock is lower."""
        return self.model_copy(update={"rows": {key: row.slowed(factor) for key, row in self.rows.items()}})

    def flagged(self) -> dict[str, tuple[Flag, ...]]:
        """Rows that were disturbed every time, with how."""
        return {key: row.flags for key, row in self.rows.items() if row.flags}
