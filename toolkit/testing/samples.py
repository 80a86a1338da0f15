"""Samples: the latencies of one installed release on one board, round by round."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from toolkit.targets import Clock


class Samples(BaseModel):
    """Medians of single calls in a tight loop, one a round, in milliseconds of the target's clock.

    On a wall clock every round is a process of its own in which a reference workload takes turns with the release:
    what slows the machine slows both. On an instruction clock a round is another load of the program.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    target: str
    device: dict[str, Any] = Field(description="see DeviceFacts.identity")
    runtime: str
    runtime_version: str
    threads: PositiveInt
    clock: Clock
    release: str = Field(description="digest of the release that was measured")
    reference: str | None = Field(description="what the reference workload is")
    release_ms: tuple[PositiveFloat, ...] = Field(min_length=5, description="fewer cannot tell chance from change")
    reference_ms: tuple[PositiveFloat, ...] = ()
    measured_at: str
    conditions: dict[str, Any] = Field(description="the board's before the first round and after the last")
    disturbed: tuple[str, ...] = Field(default=(), description="what disturbed rounds each time they were repeated")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        rounds = len(self.release_ms) if self.clock == "wall" else 0
        if len(self.reference_ms) != rounds or (self.reference is None) != (rounds == 0):
            raise ValueError(f"{len(self.reference_ms)} rounds of the reference, {rounds} expected")
        return self

    @property
    def median_ms(self) -> float:
        """The median round."""
        ordered = sorted(self.release_ms)
        return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
