"""Planned: an allocation with all that it was decided on, and the points between which it was chosen."""

from dataclasses import dataclass

from toolkit.compression import Allocation, CostTable, GainCurve, Limits, Spectra
from toolkit.deployment import FrontierPoint
from toolkit.profiling import Budget
from toolkit.profiling.latency_model import Interval
from toolkit.stages.accuracy import accuracy_before_recovery
from toolkit.stages.learn import Learned
from toolkit.stages.load import Job
from toolkit.stages.profile import Profiled
from toolkit.stages.whole_models import Whole


@dataclass(frozen=True)
class Planned:
    """The allocation with all that it was decided on; nothing was learned where the dense model fits.

    `profile` and `budget` may have been corrected meanwhile.
    """

    profile: Profiled
    budget: Budget
    spectra: Spectra
    gains: dict[str, GainCurve]
    costs: CostTable
    allocation: Allocation
    predicted: Interval
    limits: Limits
    frontier: tuple[FrontierPoint, ...]
    learned: Learned | None = None


def frontier_points(
    job: Job, profile: Profiled, costs: CostTable, spectra: Spectra, points: list[Whole]
) -> tuple[FrontierPoint, ...]:
    """What latency buys before recovery."""
    return tuple(
        FrontierPoint(
            label=point.label,
            latency_ms=point.timed.measurement.median_ms,
            predicted_ms=costs.latency_ms(point.selection),
            size_bytes=point.timed.size_bytes,
            accuracy=accuracy_before_recovery(job, spectra, point.selection, profile.precisions.arithmetics),
            recovered=point.label.startswith("dense"),
        )
        for point in points
    )
