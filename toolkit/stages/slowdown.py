"""A board that refused a release for its latency leaves less for the next one to plan with: how much less."""

from toolkit.profiling import MOST_SPREAD, Accepted, Budget
from toolkit.stages.settle import AIM
from toolkit.targets import Clock


def share_left(budget: Budget, accepted: Accepted, spread: float, clock: Clock) -> float | None:
    """Of the latency that the refused model was planned with, what leaves room for what acceptance measured.

    The board may have become slower since it was profiled (heat, other work), or the tail may be longer than the
    `spread` of a p95 over its median that was planned with. Always less than one.

    None where a smaller model would mend nothing: the release was accepted, or missed something else too; latency is
    already as low as the accuracy to keep allows; or the median is within the budget and its p95 is no property of a
    model.
    """
    if budget.latency_ms is None or budget.keep_accuracy is not None:
        return None
    if [refusal.missed for refusal in accepted.refusals] != ["latency"]:
        return None
    median, tail = accepted.measurement.median_ms, accepted.measurement.p95_ms / accepted.measurement.median_ms
    if median < budget.latency_ms.value and tail > MOST_SPREAD:
        return None
    return AIM[clock] * budget.latency_ms.value / (median * max(spread, min(MOST_SPREAD, tail)))
