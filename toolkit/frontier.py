"""Frontier: accuracy against predicted latency, by every allocator; saved as `frontier.json`."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from toolkit.deployment import Clock


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Chosen(_Record):
    """What one allocator chose under one limit of the planned median, milliseconds; nothing was trained.

    `gain_gap` is the share of the best possible gain that it may be missing; `measured_ms` is None where this very
    choice was not timed on the board.
    """

    allocator: str
    limit_ms: float
    predicted_ms: float
    measured_ms: float | None
    size_bytes: int
    peak_bytes: int
    accuracy: float
    gain_gap: float
    compact_layers: int


class Frontier(_Record):
    """Every allocator under the same limits, and the dense model."""

    schema_version: Literal[1] = 1
    target: str
    runtime: str
    runtime_version: str
    model: str
    task: str
    seed: int
    clock: Clock
    judged_on: str
    layers: int
    dense: Chosen
    points: tuple[Chosen, ...]


def save_frontier(frontier: Frontier, path: Path) -> None:
    """Write `frontier.json`."""
    path.write_text(frontier.model_dump_json(indent=2) + "\n", encoding="utf-8")
