"""Stage 4, where nothing need be weighed: the dense model fits the budget as it was measured."""

from toolkit import profiling
from toolkit.choice import Selection
from toolkit.compression import Allocation, Limits
from toolkit.profiling import Budget, WholeModel
from toolkit.profiling.latency_model import Interval
from toolkit.stages.accuracy import expected_accuracy
from toolkit.stages.learn import plain_costs
from toolkit.stages.load import Job
from toolkit.stages.planned import Planned, frontier_points
from toolkit.stages.probe import Known
from toolkit.stages.profile import Profiled
from toolkit.stages.settle import most_median_ms
from toolkit.stages.whole_models import dense_forms
from toolkit.targets import Clock


def stay_dense(board: Known, job: Job, profile: Profiled, budget: Budget) -> Planned | None:
    """The dense model, if it fits: no gain is higher. In another precision where it is as accurate there, and faster.

    None where it does not fit, or where latency is to be as low as an accuracy allows; also where it fits in another
    precision alone: compact layers may do so, too, and their cores learn on the board.
    """
    if budget.keep_accuracy is not None:
        return None
    costs, clock = plain_costs(profile), board.target.family.clock
    forms = [each for each in dense_forms(profile) if costs.allows(each.selection)]
    fitting = [each for each in forms if _fits(each.timed, _limits(budget, clock, each.timed))]
    if fitting[:1] != forms[:1]:
        return None

    def worth(selection: Selection) -> float:
        return expected_accuracy(job, {}, selection, profile.precisions.arithmetics) if len(fitting) > 1 else 0.0

    chosen = max(fitting, key=lambda each: (worth(each.selection), -each.timed.measurement.median_ms))
    took = chosen.timed.measurement.median_ms
    spent = took, chosen.timed.size_bytes, chosen.timed.peak_bytes
    return Planned(
        profile=profile,
        budget=budget,
        spectra={},
        gains={},
        costs=costs,
        allocation=Allocation(chosen.selection, 0.0, 0.0, *spent),
        predicted=Interval(took, took, took),
        limits=_limits(budget, clock, chosen.timed),
        frontier=frontier_points(job, profile, costs, {}, dense_forms(profile)),
    )


def _limits(budget: Budget, clock: Clock, timed: WholeModel) -> Limits:
    """What a median may be follows from how far its own p95 is above it."""
    spread = profiling.p95_over_median(clock, [timed.measurement])
    return Limits(
        latency_ms=most_median_ms(budget.latency_ms.value, clock, spread) if budget.latency_ms else None,
        size_bytes=budget.size_bytes.value if budget.size_bytes else None,
        peak_bytes=budget.peak_memory_bytes.value if budget.peak_memory_bytes else None,
    )


def _fits(timed: WholeModel, limits: Limits) -> bool:
    asked = (
        (limits.latency_ms, timed.measurement.median_ms),
        (limits.size_bytes, timed.size_bytes),
        (limits.peak_bytes, timed.peak_bytes),
    )
    return all(limit is None or took <= limit for limit, took in asked)
