"""The inverted question: the least latency that keeps a share of the dense model's accuracy."""

import math
from dataclasses import replace

from toolkit.choice import Selection, all_dense
from toolkit.compression import Allocator, Limits
from toolkit.compression.knapsack import least
from toolkit.errors import BudgetError
from toolkit.profiling.planning import option_ms
from toolkit.stages.accuracy import expected_accuracy, judged_on
from toolkit.stages.learn import Learned
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch
from toolkit.units import format_milliseconds

_STEPS = 8


def least_latency(
    job: Job, learned: Learned, allocator: Allocator, limits: Limits, share: float, watch: Watch
) -> Limits:
    """`limits` with the least planned median whose allocation keeps `share` of the dense accuracy before recovery.

    Bisection: accuracy is taken to grow with latency, as gains do. Raises BudgetError, with what can be had, if no
    allocation within the limits keeps as much.
    """
    costs = learned.model.costs
    known: dict[Selection, float] = {}

    def kept(chosen: Selection) -> float:
        if chosen not in known:
            known[chosen] = _accuracy(job, learned, chosen)
        return known[chosen] / dense if dense else 1.0

    def keeps(within: Limits) -> tuple[bool, float]:
        """Whether that is enough, and the median that it takes."""
        try:
            chosen = allocator(learned.worth.gains, costs, within).selection
        except BudgetError:
            return False, math.inf
        return kept(chosen) >= share, costs.latency_ms(chosen)

    def bisect(most: Limits) -> Limits | None:
        enough, high = keeps(most)
        fastest = least("latency_ms", costs, most)
        if not enough or fastest is None:
            return None
        low, best = costs.latency_ms(fastest), high
        for step in range(_STEPS):
            # First the fastest there is; then ever nearer to the edge between too little and enough.
            middle = (low + best) / 2 if step else low
            enough, taken = keeps(replace(most, latency_ms=middle))
            low, best = (low, taken) if enough else (middle, best)
            watch.progress.advance(step + 1, _STEPS)
        return replace(most, latency_ms=best)

    dense = _accuracy(job, learned, all_dense(costs.parts))
    found = bisect(limits)
    if found is None:
        anyhow = None if limits.latency_ms is None else bisect(replace(limits, latency_ms=None))
        best = kept(allocator(learned.worth.gains, costs, limits).selection)
        raise _not_kept(share, best, limits, anyhow, learned)
    chosen = allocator(learned.worth.gains, costs, found).selection
    watch.note(
        f"{kept(chosen):.1%} of the dense accuracy ({dense:.1%}) is kept before recovery at a planned median of "
        f"{format_milliseconds(costs.latency_ms(chosen))}, on {judged_on(job)}"
    )
    return found


def keeps(job: Job, learned: Learned, allocator: Allocator, share: float, limits: Limits) -> bool:
    """Whether what the allocator chooses within `limits` keeps that share of the dense accuracy before recovery."""
    try:
        chosen = allocator(learned.worth.gains, learned.model.costs, limits).selection
    except BudgetError:
        return False
    dense = _accuracy(job, learned, all_dense(chosen))
    return not dense or _accuracy(job, learned, chosen) / dense >= share


def _accuracy(job: Job, learned: Learned, chosen: Selection) -> float:
    return expected_accuracy(job, learned.worth.parts, chosen, learned.profile.precisions.arithmetics)


def _not_kept(share: float, best: float, limits: Limits, anyhow: Limits | None, learned: Learned) -> BudgetError:
    lower = f"--keep-accuracy {math.floor(best * 1000) / 1000:g}"
    if anyhow is not None and anyhow.latency_ms is not None:
        doubt = learned.model.upper_ms(learned.likely[0], 0.99) / learned.model.costs.latency_ms(learned.likely[0])
        nearest = f"Give {option_ms(anyhow.latency_ms * learned.spread * doubt)}, or {lower}."
        within = "within --latency"
    else:
        options = (("--size", limits.size_bytes), ("--memory", limits.peak_bytes))
        given = [name for name, value in options if value is not None]
        nearest = f"{'Raise ' + ' or '.join(given) + ', or give' if given else 'Give'} {lower}."
        within = "within the budget"
    return BudgetError(
        f"no allocation {within} keeps {share:.1%} of the dense accuracy before recovery: the best keeps {best:.1%}",
        where="--keep-accuracy",
        next=nearest,
    )
