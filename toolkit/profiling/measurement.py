"""Measurement: what one program took on one board."""

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt


class Measurement(BaseModel):
    """Times of single calls in a tight loop, milliseconds of the target's clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    median_ms: PositiveFloat
    p95_ms: PositiveFloat
    min_ms: PositiveFloat
    runs: PositiveInt
    warmups: int
    load_ms: float
