"""A release that its board refused for a default that nobody asked for: the default gives way, not the release."""

from dataclasses import replace

from toolkit import profiling
from toolkit.compression.feasibility import rounded_up
from toolkit.profiling import Accepted, Limit
from toolkit.stages.load import Job
from toolkit.stages.planned import Planned
from toolkit.stages.probe import Board
from toolkit.stages.profile import dense_model
from toolkit.stages.watch import Watch
from toolkit.units import format_milliseconds


def renew_default(board: Board, job: Job, planned: Planned, accepted: Accepted, watch: Watch) -> Planned:
    """With a latency that follows the dense model, if the board is slower than when that was timed.

    The dense model is timed again where the release missed nothing but a default latency or a speedup. Raises
    BoardError.
    """
    old, profile = planned.budget.latency_ms, planned.profile
    follows = planned.budget.speedup is not None or (old is not None and old.is_default)
    if old is None or not follows or [each.missed for each in accepted.refusals] != ["latency"]:
        return planned
    dense = dense_model(job)
    without = profile.profile.without({profiling.row_of(dense)})
    [timed], now = profiling.time_models(
        board.agent, job.runtime, [dense], without, profile.path, on_note=watch.progress.note
    )
    budget = profiling.with_defaults_of(planned.budget, board.target, timed.measurement)
    new = budget.latency_ms
    if new is None or new.value <= old.value:
        return planned
    watch.note(
        f"the dense model takes a p95 of {format_milliseconds(timed.measurement.own_p95_ms)} now: the budget "
        f"({new.source}) is {format_milliseconds(new.value)} instead of {format_milliseconds(old.value)}"
    )
    return replace(planned, profile=replace(profile, profile=now, dense=timed), budget=budget)


def give_way(planned: Planned, accepted: Accepted, watch: Watch) -> Planned:
    """With every default that the board's measurement misses set to what it measured.

    As it was where the release misses anything else too: what was asked for, or the host's outputs.
    """
    budget = planned.budget
    limits = {"latency": budget.latency_ms, "memory": budget.peak_memory_bytes}
    missed = {refusal: limits.get(refusal.missed) for refusal in accepted.refusals}
    if not all(limit is not None and limit.is_default for limit in missed.values()):
        return planned
    for refusal, limit in missed.items():
        assert limit is not None
        source = f"as measured; not {limit.source}"
        if refusal.missed == "latency":
            p95_ms = accepted.measurement.p95_ms
            budget = replace(budget, latency_ms=Limit(max(p95_ms, rounded_up(p95_ms)), source, is_default=True))
        else:
            budget = replace(budget, peak_memory_bytes=Limit(accepted.peak_bytes, source, is_default=True))
        watch.note(f"{refusal.reason}, which is a default ({limit.source}): what was measured is the budget now")
    return replace(planned, budget=budget)
