"""Stage 4: calibrate, draw gain curves, correct the cost table on whole models, and make one choice for every part."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from toolkit import profiling
from toolkit.choice import Selection
from toolkit.compression import (
    Allocator,
    Limits,
)
from toolkit.errors import BudgetError
from toolkit.profiling import Accepted, Budget, WholeModel
from toolkit.request import Request
from toolkit.stages.keep_accuracy import keeps, least_latency
from toolkit.stages.learn import Learned, learn
from toolkit.stages.load import Job
from toolkit.stages.planned import Planned, frontier_points
from toolkit.stages.probe import Known
from toolkit.stages.profile import Profiled
from toolkit.stages.reach import hold_to, is_reached, raise_defaults, reach
from toolkit.stages.recheck import recheck
from toolkit.stages.search import searcher
from toolkit.stages.settle import settle
from toolkit.stages.slowdown import share_left
from toolkit.stages.stay_dense import only_dense, rather_dense, stay_dense
from toolkit.stages.watch import Watch
from toolkit.stages.whole_models import dense_forms, time_wholes


def allocate(board: Known, job: Job, profile: Profiled, budget: Budget, request: Request, watch: Watch) -> Planned:
    """Make one choice for every layer and group; a default that nothing keeps gives way.

    What a plan without any allocation rests on is checked against the board first. Raises BudgetError, with the nearest
    feasible budget, where nothing keeps what was asked for.
    """
    with watch.stage("allocate"):
        if not profile.parts:
            return only_dense(board, job, profile, budget, watch)
        found = _stay_or_learn(board, job, profile, budget, request, watch)
        if isinstance(found, Learned) and board.agent is not None and not is_reached(found, budget):
            profile = recheck(board, job, found, watch, request.profile_budget_s)
            budget = profiling.with_defaults_of(budget, board.target, profile.dense.measurement)
            found = _stay_or_learn(board, job, profile, budget, request, watch)
            watch.was_cached = False
        if isinstance(found, Planned):
            return found
        learned, worth, model, profile = found, found.worth, found.model, found.profile

        def time_chosen(chosen: Selection) -> WholeModel:
            nonlocal profile
            [whole], profile = time_wholes(board, job, profile, worth.parts, [("chosen", chosen)], watch)
            return whole.timed

        timer = time_chosen if board.agent else None
        reached = reach(learned, budget, board.target.family.clock, timer, watch)
        allocator = _allocator(job, learned, request, watch)
        enough, lacking = _wanted(job, learned, allocator, budget.keep_accuracy, request)
        reached = raise_defaults(reached, learned, enough, lacking, watch)
        limits, budget = reached.limits, reached.budget
        if budget.keep_accuracy is not None:
            limits = least_latency(job, learned, allocator, limits, budget.keep_accuracy, watch)
        settled = settle(
            allocator,
            worth.gains,
            model.costs,
            limits,
            budget.latency_ms.value if budget.latency_ms and budget.keep_accuracy is None else None,
            board.target.family.clock,
            learned.spread,
            timer,
            budget.size_bytes.value if budget.size_bytes else None,
            [(whole.selection, whole.timed) for whole in (*dense_forms(profile), *learned.wholes)],
        )
        budget = hold_to(budget, settled.timed, learned, board.target.family.clock, watch)
        planned = Planned(
            profile=profile,
            budget=budget,
            spectra=worth.parts,
            gains=worth.gains,
            costs=model.costs,
            allocation=settled.allocation,
            predicted=model.predict(settled.allocation.selection),
            limits=settled.limits,
            frontier=frontier_points(job, profile, model.costs, worth.parts, [*dense_forms(profile), *learned.wholes]),
            learned=learned,
        )
        return rather_dense(planned, job.start, board.target.family.clock, watch)


def _wanted(
    job: Job, learned: Learned, allocator: Allocator, share: float | None, request: Request
) -> tuple[Callable[[Limits], bool], str]:
    """What limits have to leave room for, and how to begin to say that they do not."""
    if share is not None:
        return partial(keeps, job, learned, allocator, share), f"{share:.1%} of the dense accuracy takes more than"

    def finds(limits: Limits) -> bool:
        try:
            allocator(learned.worth.gains, learned.model.costs, limits)
        except BudgetError:
            return False
        return True

    return finds, f"allocator {request.allocator} finds nothing within"


def _stay_or_learn(
    board: Known, job: Job, profile: Profiled, budget: Budget, request: Request, watch: Watch
) -> Planned | Learned:
    dense = stay_dense(board, job, profile, budget, request.recovery_steps is not None, watch)
    if dense is None:
        return learn(board, job, profile, request.curve, request.seed, watch)
    others = {choice.precision for choice in dense.allocation.selection.values()} - {"fp32"}
    watch.note(f"the dense model already fits the budget: it stays dense{''.join(f', in {each}' for each in others)}")
    return dense


def allocate_smaller(
    board: Known,
    job: Job,
    refused: Planned,
    accepted: Accepted,
    request: Request,
    watch: Watch,
) -> Planned | None:
    """The best of those that take less than one that its board refused for its latency, by as much as that missed.

    None where another allocation would mend nothing (see `share_left`), or where there is none.
    """
    learned = refused.learned
    share = share_left(refused.budget, accepted, learned.spread if learned else 1.0, board.target.family.clock)
    if share is None or not refused.profile.parts:
        return None
    watch.note(f"{accepted.refusals[0].reason}: choosing a smaller model")
    try:
        if learned is None:  # the dense model: compact ones were not weighed yet, and are timed from now on
            with tempfile.TemporaryDirectory() as aside:
                now = as_slow(refused, accepted, Path(aside, "profile.json"))
                return allocate(board, job, now, refused.budget, request, watch)
        with watch.stage("allocate"):
            # The board is not asked: what it said of models like these, it said when it was faster.
            limits = replace(refused.limits, latency_ms=share * refused.allocation.latency_ms)
            allocation = _allocator(job, learned, request, watch)(refused.gains, refused.costs, limits)
            predicted = learned.model.predict(allocation.selection)
            return replace(refused, allocation=allocation, predicted=predicted, limits=limits)
    except BudgetError:
        watch.note("no smaller model fits")
        return None


def as_slow(refused: Planned, accepted: Accepted, path: Path) -> Profiled:
    """Every time as much longer as that of the dense model, in the form that was refused, has become.

    Kept apart: the board may be fast again.
    """
    profile, took = refused.profile, accepted.measurement
    factor = took.median_ms / refused.allocation.latency_ms
    in_fp32 = all(choice.precision == "fp32" for choice in refused.allocation.selection.values())
    dense, rival = profile.dense, profile.precisions.rival
    dense = replace(dense, measurement=took if in_fp32 else dense.measurement.slowed(factor))
    if rival is not None:
        rival = replace(rival, measurement=rival.measurement.slowed(factor) if in_fp32 else took)
    precisions = replace(profile.precisions, rival=rival)
    return replace(profile, profile=profile.profile.slowed(factor), path=path, dense=dense, precisions=precisions)


def _allocator(job: Job, learned: Learned, request: Request, watch: Watch) -> Allocator:
    return job.allocator or searcher(job, learned, request, watch)
