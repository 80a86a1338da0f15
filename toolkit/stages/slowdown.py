"""A release that was refused for its latency: what the next allocation has to reckon with."""

from toolkit.profiling import MOST_SPREAD, Accepted, Budget
from toolkit.stages.allocate import Planned


def spread_found(planned: Planned, budget: Budget, accepted: Accepted) -> float | None:
    """How far acceptance's p95 was above the median that the board took when the allocation was chosen.

    The board may have become slower since (heat, other work), or its tail longer: a smaller model fits all the same.
    None where another allocation would mend nothing: the release was accepted, or missed something else too; latency
    is as low as the accuracy to keep allows; or a median within the budget has a p95 that is no property of a model.
    """
    took = accepted.measurement
    if budget.latency_ms is None or budget.keep_accuracy is not None or planned.timed_ms is None:
        return None
    if [refusal.missed for refusal in accepted.refusals] != ["latency"]:
        return None
    if took.median_ms < budget.latency_ms.value and took.p95_ms > MOST_SPREAD * took.median_ms:
        return None
    return took.p95_ms / planned.timed_ms
