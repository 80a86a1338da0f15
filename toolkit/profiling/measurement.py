"""Measurement: what one program took on one board."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic import model_validator as validator

# `throttled`: the board slowed itself down; `drifted`: its clocks moved meanwhile; `contended`: other programs had the
# processor; `estimate`: nothing was measured.
Flag = Literal["throttled", "drifted", "contended", "estimate"]
# A p95 further above its median is a disturbance of the moment, not a property of the model: plan with at most this.
MOST_SPREAD = 1.3


class Measurement(BaseModel):
    """Times of single calls in a tight loop, milliseconds of the target's clock.

    Whole models are also called at the application's rate, with the pauses in which clocks and caches go cold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    median_ms: PositiveFloat
    p95_ms: PositiveFloat
    min_ms: PositiveFloat
    runs: PositiveInt
    warmups: NonNegativeInt
    load_ms: NonNegativeFloat
    paced_rate_hz: PositiveFloat | None = None
    paced_median_ms: PositiveFloat | None = None
    paced_p95_ms: PositiveFloat | None = None
    flags: tuple[Flag, ...] = Field(default=(), description="what disturbed it every time it was repeated")

    @property
    def own_p95_ms(self) -> float:
        """The p95, as far as it is the program's own: at most `MOST_SPREAD` above the median."""
        return min(self.p95_ms, MOST_SPREAD * self.median_ms)

    def slowed(self, factor: float) -> "Measurement":
        """As on the same board when its clock is lower: every time of a call multiplied."""
        times = ("median_ms", "p95_ms", "min_ms", "paced_median_ms", "paced_p95_ms")
        known = {name: value for name in times if (value := getattr(self, name)) is not None}
        return self.model_copy(update={name: value * factor for name, value in known.items()})

    @validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min_ms <= self.median_ms <= self.p95_ms:
            raise ValueError(f"min {self.min_ms:g}, median {self.median_ms:g}, p95 {self.p95_ms:g} are not in order")
        paced = (self.paced_rate_hz, self.paced_median_ms, self.paced_p95_ms)
        if any(value is None for value in paced) and any(value is not None for value in paced):
            raise ValueError("a paced time needs its rate, median and p95")
        if self.paced_median_ms and self.paced_p95_ms and self.paced_median_ms > self.paced_p95_ms:
            raise ValueError(f"paced median {self.paced_median_ms:g} is above paced p95 {self.paced_p95_ms:g}")
        return self
