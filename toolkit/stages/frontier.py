"""Draw accuracy against latency: every allocator under the same limits, from the fastest model to the dense one."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from toolkit.choice import DENSE, Selection, all_dense
from toolkit.compression import ALLOCATORS, CostTable, Limits, allocator_named
from toolkit.compression.allocation import Allocation, describe
from toolkit.compression.knapsack import least
from toolkit.errors import BadInput, BudgetError
from toolkit.frontier import Chosen, Frontier
from toolkit.profiling import Budget
from toolkit.request import WITH_CONFLICTS, Request
from toolkit.stages.accuracy import accuracy_before_recovery, shown_on
from toolkit.stages.learn import Learned, learn
from toolkit.stages.load import Job
from toolkit.stages.probe import Known
from toolkit.stages.profile import Profiled
from toolkit.stages.reach import reach
from toolkit.stages.watch import Watch

# Shares of the way from the fastest allocation to the dense model.
_SHARES = (0.05, 0.15, 0.3, 0.5, 0.75, 1.0)


def frontier(board: Known, job: Job, profile: Profiled, budget: Budget, request: Request, watch: Watch) -> Frontier:
    """What each allocator would choose at a few latencies, within the size and memory of `budget`, and how it does.

    Raises BudgetError if nothing fits size and memory, and BadInput for a model with nothing to choose about.
    """
    with watch.stage("frontier"):
        if not profile.parts:
            raise BadInput("the model has nothing to compress", where=request.model, next="deploy takes it as it is.")
        learned = learn(board, job, profile, request.curve, request.seed, watch)
        limits = reach(learned, replace(budget, latency_ms=None), board.target.family.clock, None, watch).limits
        timed = {whole.selection: whole.timed.measurement.median_ms for whole in learned.wholes}
        timed[all_dense(learned.model.costs.parts)] = learned.profile.dense.measurement.median_ms
        dense, points = draw_frontier(job, learned, limits, timed, request.seed, watch)
        return Frontier(
            target=board.target.name,
            runtime=job.runtime.name,
            runtime_version=board.runtime_version,
            model=request.model,
            task=job.task.name,
            seed=request.seed,
            clock=board.target.family.clock,
            judged_on=shown_on(job),
            layers=len(job.layers),
            dense=dense,
            points=points,
        )


def draw_frontier(
    job: Job, learned: Learned, limits: Limits, timed: dict[Selection, float], seed: int, watch: Watch
) -> tuple[Chosen, tuple[Chosen, ...]]:
    """The dense model, and each allocator's choice under each limit; `timed` are measured medians by choice."""
    dense = describe(all_dense(learned.model.costs.parts), learned.worth.gains, learned.model.costs)
    found = [("dense", dense.latency_ms, dense), *_allocations(learned, job.layers, limits, seed)]
    accuracies: dict[Selection, float] = {}
    parts, arithmetics = learned.worth.parts, learned.profile.precisions.arithmetics
    points = []
    for done, (name, limit_ms, allocation) in enumerate(found, start=1):
        chosen = allocation.selection
        if chosen not in accuracies:
            accuracies[chosen] = accuracy_before_recovery(job, parts, chosen, arithmetics)
        watch.progress.advance(done, len(found))
        points.append(
            Chosen(
                allocator=name,
                limit_ms=limit_ms,
                predicted_ms=allocation.latency_ms,
                measured_ms=timed.get(chosen),
                size_bytes=allocation.size_bytes,
                peak_bytes=allocation.peak_bytes,
                accuracy=accuracies[chosen],
                gain_gap=allocation.bound_gap,
                compact_layers=sum(chosen[name].form == "rank" for name in job.layers),
            )
        )
    return points[0], tuple(points[1:])


def _allocations(
    learned: Learned, layers: Collection[str], limits: Limits, seed: int
) -> Iterator[tuple[str, float, Allocation]]:
    """Each allocator's choice under each limit; none where it finds no choice that fits."""
    costs, gains = learned.model.costs, learned.worth.gains
    ranks = _only_ranks(costs, layers)
    fastest = least("latency_ms", costs, limits)
    assert fastest is not None  # `reach` raises
    low, high = costs.latency_ms(fastest), costs.latency_ms(all_dense(costs.parts))
    for share in _SHARES:
        limit_ms = low + share * (high - low)
        bounds = []
        for name in ALLOCATORS:  # the exact one first: by its bound
            offered = costs if name in WITH_CONFLICTS else ranks
            try:
                found = allocator_named(name, seed)(gains, offered, replace(limits, latency_ms=limit_ms))
            except BudgetError:
                continue
            whole = describe(all_dense(costs.parts).but(found.selection), gains, costs)
            if costs.allows(whole.selection):
                bounds.append(found.gain_bound if offered is costs else whole.gain_bound)
                yield name, limit_ms, replace(whole, gain_bound=max(whole.gain, min(bounds)))


def _only_ranks(costs: CostTable, layers: Collection[str]) -> CostTable:
    """What allocators that know nothing else are offered: single layers, in fp32; the others count as dense."""
    others = [row[DENSE] for name, row in costs.parts.items() if name not in layers]
    parts = {
        name: {choice: cost for choice, cost in row.items() if choice.precision == "fp32"}
        for name, row in costs.parts.items()
        if name in layers
    }
    return replace(
        costs,
        parts=parts,
        rest_latency_ms=costs.rest_latency_ms + sum(each.latency_ms for each in others),
        rest_bytes=costs.rest_bytes + sum(each.weight_bytes for each in others),
        conflicts=(),
        between=(),
    )
