"""Stage 4, where the dense model fits the budget as it was measured, in fp32 or in another precision."""

from dataclasses import replace
from functools import partial

from toolkit import profiling
from toolkit.adaptation.heads import HeadStart
from toolkit.choice import Selection
from toolkit.compression import Allocation, Limits
from toolkit.compression.allocation import describe
from toolkit.compression.feasibility import rounded_up
from toolkit.errors import BudgetError
from toolkit.profiling import Budget, Limit, WholeModel
from toolkit.profiling.budget import Number
from toolkit.profiling.latency_model import Interval
from toolkit.stages.accuracy import expected_accuracy
from toolkit.stages.effort import NOTICEABLE, is_large, loses_little
from toolkit.stages.learn import plain_costs
from toolkit.stages.load import Job
from toolkit.stages.planned import Planned, frontier_points
from toolkit.stages.probe import Known
from toolkit.stages.profile import Profiled
from toolkit.stages.quantise import lost_in
from toolkit.stages.settle import AIM
from toolkit.stages.watch import Watch
from toolkit.stages.whole_models import Whole, dense_forms
from toolkit.targets import Clock
from toolkit.units import format_bytes, format_milliseconds

# Of a budget, what a median that was measured may take, times how far its own p95 is above it. An emulated board counts
# the same for the same program again.
_ROOM: dict[Clock, float] = {"wall": (1 + AIM["wall"]) / 2, "instructions": 1.0}


def stay_dense(
    board: Known, job: Job, profile: Profiled, budget: Budget, recovers: bool, watch: Watch
) -> Planned | None:
    """The dense model, if it fits: no gain is higher. In another precision where it is as accurate there, and faster.

    None where it does not fit, or where latency is to be as low as an accuracy allows. Also where it fits in another
    precision alone: compact layers may do so, too, and their cores learn on the board. But one so large that it is
    hardly trained, unless that is asked for (`recovers`), loses less by such a precision than by such layers.
    """
    if budget.keep_accuracy is not None:
        return None
    costs, clock = plain_costs(profile), board.target.family.clock
    forms = [each for each in dense_forms(profile) if costs.allows(each.selection)]
    fitting = [each for each in forms if _fits(each, budget, clock)]
    if fitting[:1] != forms[:1]:
        if recovers or not is_large(job):
            return None
        arithmetics = profile.precisions.arithmetics
        fitting = [each for each in fitting if loses_little(each.selection, partial(lost_in, job, arithmetics))]
        if not fitting:
            return None
        watch.note(
            "compact layers of a network this large want more training than is done by default: "
            "--set recovery.steps=N weighs them, too, and trains"
        )

    def worth(selection: Selection) -> float:
        return expected_accuracy(job, {}, selection, profile.precisions.arithmetics) if len(fitting) > 1 else 0.0

    chosen = max(fitting, key=lambda each: (worth(each.selection), -each.timed.measurement.median_ms))
    return _planned(job, profile, budget, chosen, clock)


def only_dense(board: Known, job: Job, profile: Profiled, budget: Budget, watch: Watch) -> Planned:
    """A model with nothing to choose about, as it is: defaults give way to what it takes.

    Raises BudgetError where it takes more than was asked for.
    """
    [dense, *_], clock = dense_forms(profile), board.target.family.clock
    took_ms = dense.timed.measurement.own_p95_ms / _ROOM[clock]
    _, size, peak = _spent(dense)
    raised = Budget(
        _raised(budget.latency_ms, rounded_up(took_ms)),
        _raised(budget.peak_memory_bytes, peak),
        _raised(budget.size_bytes, size),
    )
    limits = (
        (budget.latency_ms, raised.latency_ms),
        (budget.peak_memory_bytes, raised.peak_memory_bytes),
        (budget.size_bytes, raised.size_bytes),
    )
    if any(asked is not None and not asked.is_default and asked != needed for asked, needed in limits):
        raise BudgetError(
            "the model has nothing to compress, and does not fit as it is",
            where="budget",
            next=f"It takes a p95 of {format_milliseconds(rounded_up(took_ms))}, {format_bytes(size)}, and "
            f"{format_bytes(peak)} of memory.",
        )
    watch.note("the model has nothing to compress: it is deployed as it is")
    return _planned(job, profile, raised, dense, clock)


def _raised(limit: Limit[Number] | None, needed: Number) -> Limit[Number] | None:
    if limit is None or limit.value >= needed:
        return limit
    return Limit(needed, "what the model takes", is_default=True)


def _planned(job: Job, profile: Profiled, budget: Budget, chosen: Whole, clock: Clock) -> Planned:
    spent, costs = _spent(chosen), plain_costs(profile)
    return Planned(
        profile=profile,
        budget=budget,
        spectra={},
        gains={},
        costs=costs,
        allocation=Allocation(chosen.selection, 0.0, 0.0, *spent),
        predicted=Interval(spent[0], spent[0], spent[0]),
        limits=_limits(budget, clock, chosen.timed),
        frontier=frontier_points(job, profile, costs, {}, dense_forms(profile)),
    )


def rather_dense(planned: Planned, start: HeadStart, clock: Clock, watch: Watch) -> Planned:
    """`planned`, or the dense model in another precision, where it fits and what was chosen loses noticeably more.

    Not where the head is fitted to the examples: classes that a network does not know are learned by cores. What was
    planned with stays as it is: the board may refuse that model, too.
    """
    if planned.budget.keep_accuracy is not None or start == "fitted":
        return planned
    for form in dense_forms(planned.profile)[1:]:
        whole = describe(form.selection, planned.gains, planned.costs, planned.allocation.gain_bound)
        lost = whole.gain - planned.allocation.gain
        if planned.costs.allows(form.selection) and _fits(form, planned.budget, clock) and lost > NOTICEABLE:
            watch.note(
                f"the model stays dense, in {form.label.removeprefix('dense ')}: it fits the budget, and the best with "
                f"compact layers loses {lost:.2g} nats an example more. On the board its head alone learns"
            )
            took, size, peak = _spent(form)
            return replace(
                planned,
                allocation=replace(whole, latency_ms=took, size_bytes=size, peak_bytes=peak),
                predicted=Interval(took, took, took),
                limits=_limits(planned.budget, clock, form.timed),
            )
    return planned


def _spent(whole: Whole) -> tuple[float, int, int]:
    return whole.timed.measurement.median_ms, whole.timed.size_bytes, whole.timed.peak_bytes


def _limits(budget: Budget, clock: Clock, timed: WholeModel) -> Limits:
    """What a median may be follows from how far its own p95 is above it."""
    spread = profiling.p95_over_median(clock, [timed.measurement])
    return Limits(
        latency_ms=_ROOM[clock] * budget.latency_ms.value / spread if budget.latency_ms else None,
        size_bytes=budget.size_bytes.value if budget.size_bytes else None,
        peak_bytes=budget.peak_memory_bytes.value if budget.peak_memory_bytes else None,
    )


def _fits(whole: Whole, budget: Budget, clock: Clock) -> bool:
    limits = _limits(budget, clock, whole.timed)
    limited = limits.latency_ms, limits.size_bytes, limits.peak_bytes
    return all(limit is None or took <= limit for limit, took in zip(limited, _spent(whole), strict=True))
