"""What a disturbed moment measured does not decide for ever: before anything is refused, the board is asked again."""

from dataclasses import replace

from toolkit import profiling
from toolkit.compression import Limits
from toolkit.compression.knapsack import least
from toolkit.profiling import Measurement
from toolkit.stages.learn import Learned
from toolkit.stages.load import Job
from toolkit.stages.probe import Known
from toolkit.stages.profile import Profiled, dense_model, measure
from toolkit.stages.watch import Watch
from toolkit.stages.whole_models import compact_model
from toolkit.units import format_milliseconds

# Medians of one program that differ by less are of one and the same board.
_LEAST_DRIFT = 1.1


def recheck(board: Known, job: Job, learned: Learned, watch: Watch, budget_s: float | None) -> Profiled:
    """The profile after the board has timed the dense model and the fastest allocation again.

    Where one of them takes another time than it did, beyond the spread of times on this board, all that was measured of
    this model is forgotten and measured again. Raises BoardError.
    """
    fastest = least("latency_ms", learned.model.costs, Limits())
    assert fastest is not None
    before = learned.profile.profile
    models = {
        "the dense model": dense_model(job),
        "the fastest allocation": compact_model(job, learned.profile, learned.worth.parts, fastest),
    }
    keys = {name: profiling.row_of(model) for name, model in models.items()}
    timed, now = profiling.time_models(
        board.agent,
        job.runtime,
        list(models.values()),
        before.without(set(keys.values())),
        learned.profile.path,
        on_note=watch.progress.note,
    )
    most = max(_LEAST_DRIFT, learned.spread)
    for (name, key), model in zip(keys.items(), timed, strict=True):
        was = before.rows.get(key)
        if was is not None and _apart(was, model.measurement) > most:
            watch.note(
                f"{name} took {format_milliseconds(was.median_ms)} when it was profiled and takes "
                f"{format_milliseconds(model.measurement.median_ms)} now: this model is measured again"
            )
            stale = _measured_of(job, learned) - set(keys.values())
            return measure(board, job, now.without(stale), learned.profile.path, watch, budget_s)
    return replace(learned.profile, profile=now, dense=timed[0])


def _apart(one: Measurement, other: Measurement) -> float:
    """The longer median over the shorter."""
    return max(one.median_ms, other.median_ms) / min(one.median_ms, other.median_ms)


def _measured_of(job: Job, learned: Learned) -> set[str]:
    """The rows of a profile that tell of this model: its layers and groups, and the wholes that it was learned from."""
    layers = profiling.variants_of(learned.profile.parts.values())
    models = [compact_model(job, learned.profile, learned.worth.parts, whole.selection) for whole in learned.wholes]
    wholes = {profiling.row_of(each) for each in models}
    return set(layers) | wholes
