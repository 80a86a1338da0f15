"""Stage 4: calibrate, draw gain curves, correct the cost table on whole models, and choose a rank for every layer."""

from dataclasses import dataclass

from toolkit import profiling
from toolkit.compression import (
    Allocation,
    CostTable,
    GainCurve,
    Limits,
    Spectra,
)
from toolkit.compression.allocation import fits
from toolkit.deployment import FrontierPoint
from toolkit.profiling import Budget, WholeModel
from toolkit.profiling.latency_model import Interval, Ranks
from toolkit.request import Request
from toolkit.stages.accuracy import accuracy_before_recovery
from toolkit.stages.keep_accuracy import least_latency
from toolkit.stages.learn import learn, plain_costs
from toolkit.stages.load import Job
from toolkit.stages.probe import Known
from toolkit.stages.profile import Profiled
from toolkit.stages.search import searcher
from toolkit.stages.settle import most_median_ms, settle
from toolkit.stages.watch import Watch
from toolkit.stages.whole_models import Whole, time_wholes


@dataclass(frozen=True)
class Planned:
    """The allocation with all that it was decided on."""

    spectra: Spectra
    gains: dict[str, GainCurve]
    costs: CostTable
    allocation: Allocation
    timed_ms: float | None  # median of its whole model when it was chosen; None if the board was not asked
    predicted: Interval
    limits: Limits
    frontier: tuple[FrontierPoint, ...]


def allocate(
    board: Known,
    job: Job,
    profile: Profiled,
    budget: Budget,
    request: Request,
    watch: Watch,
    spread: float | None = None,
) -> Planned:
    """Choose a rank, or dense, for every layer. Raises BudgetError with the nearest feasible budget.

    `spread`, how far a p95 is above the median that is planned with, is as profiled unless an acceptance found it more.
    """
    with watch.stage("allocate"):
        dense = stay_dense(board, job, profile, budget) if spread is None else None
        if dense is not None:
            watch.note("the dense model already fits the budget: it stays dense")
            return dense
        learned = learn(board, job, profile, request.curve, request.seed, watch)
        worth, model, profile = learned.worth, learned.model, learned.profile
        spread = spread or learned.spread
        limits = profiling.plan_limits(budget, model, spread, learned.likely)
        allocator = job.allocator or searcher(job, learned, request, watch)
        if budget.keep_accuracy is not None:
            limits = least_latency(job, learned, allocator, limits, budget.keep_accuracy, watch)

        def time_chosen(ranks: Ranks) -> WholeModel:
            nonlocal profile
            [chosen], profile = time_wholes(board, job, profile, worth.parts, [("chosen", ranks)], watch)
            return chosen.timed

        settled = settle(
            allocator,
            worth.gains,
            model.costs,
            limits,
            budget.latency_ms.value if budget.latency_ms and budget.keep_accuracy is None else None,
            board.target.clock,
            spread,
            time_chosen if board.agent else None,
        )
        return Planned(
            spectra=worth.parts,
            gains=worth.gains,
            costs=model.costs,
            allocation=settled.allocation,
            timed_ms=settled.timed.measurement.median_ms if settled.timed else None,
            predicted=model.predict(settled.allocation.ranks),
            limits=settled.limits,
            frontier=_frontier(job, model.costs, worth.parts, [_dense(job, profile), *learned.wholes]),
        )


def stay_dense(board: Known, job: Job, profile: Profiled, budget: Budget) -> Planned | None:
    """The dense model, if it fits the budget as it was measured: no gain is higher, and nothing need be weighed.

    None where it does not fit, or where latency is to be as low as an accuracy allows.
    """
    if budget.keep_accuracy is not None:
        return None
    ranks: Ranks = dict.fromkeys([*job.layers, *job.groups])
    costs = plain_costs(board, job, profile)
    took = profile.dense.measurement
    spread = profiling.p95_over_median(board.target.clock, [took])
    limits = Limits(
        latency_ms=most_median_ms(budget.latency_ms.value, board.target.clock, spread) if budget.latency_ms else None,
        size_bytes=budget.size_bytes.value if budget.size_bytes else None,
        peak_bytes=budget.peak_memory_bytes.value if budget.peak_memory_bytes else None,
    )
    if not fits(ranks, costs, limits):
        return None
    spent = costs.latency_ms(ranks), costs.size_bytes(ranks), costs.peak_bytes(ranks)
    return Planned(
        spectra={},
        gains={},
        costs=costs,
        allocation=Allocation(ranks, 0.0, 0.0, *spent),
        timed_ms=took.median_ms,
        predicted=Interval(took.median_ms, took.median_ms, took.median_ms),
        limits=limits,
        frontier=_frontier(job, costs, {}, [_dense(job, profile)]),
    )


def _dense(job: Job, profile: Profiled) -> Whole:
    return Whole("dense", dict.fromkeys([*job.layers, *job.groups]), profile.dense)


def _frontier(job: Job, costs: CostTable, spectra: Spectra, points: list[Whole]) -> tuple[FrontierPoint, ...]:
    """What latency buys before recovery."""
    return tuple(
        FrontierPoint(
            label=point.label,
            latency_ms=point.timed.measurement.median_ms,
            predicted_ms=costs.latency_ms(point.ranks),
            size_bytes=point.timed.size_bytes,
            accuracy=accuracy_before_recovery(job, spectra, point.ranks),
            recovered=point.label == "dense",
        )
        for point in points
    )
