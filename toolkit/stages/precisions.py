"""In which precisions a board is offered a network's layers: its clock decides, on the dense network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from toolkit import profiling
from toolkit.devices.agent_client import AgentError
from toolkit.errors import BadInput, DeployError
from toolkit.profiling import ONLY_FP32, Arithmetics, NotStored, Profile, Untimed, WholeModel
from toolkit.runtimes.arithmetic import Arithmetic, Quantisation, without_int8
from toolkit.stages.choose_runtime import asked_forms
from toolkit.stages.load import Job
from toolkit.stages.probe import Known
from toolkit.stages.quantise import (
    NEGLIGIBLE,
    best_ranges,
    calibration_examples,
    has_ranges,
    least_loss,
    losses_by_ranges,
    only_timed,
)
from toolkit.stages.watch import Watch
from toolkit.units import format_milliseconds

# Of the dense network's time in fp32: one that takes more in another precision gains nothing that a measurement shows.
_GAINS = 0.97
# Runtimes say much: so many characters of it.
_TOLD = 200
# A form that loses less than half as much may take a quarter more time.
_HALF, _QUARTER_MORE = 0.5, 1.25

_Found = dict[Arithmetic, WholeModel]


@dataclass(frozen=True)
class Precisions:
    """What layers are offered, and the dense network in the precision besides fp32, where there is one.

    `demanded`: whatever can run in that precision has to.
    """

    arithmetics: Arithmetics
    rival: WholeModel | None = None
    demanded: bool = False


ALL_FP32 = Precisions(ONLY_FP32)


def choose_precisions(
    board: Known, job: Job, dense: WholeModel, profile: Profile, path: Path, watch: Watch
) -> tuple[Precisions, Profile]:
    """Time the dense network in every form of what was asked for; the fastest is what its layers are offered.

    int8 whose ranges are found at each call is asked about where ranges that are known beforehand lose accuracy.
    With `auto` only if that is faster than fp32; what was asked for by name is obeyed, and said where it is slower. How
    ranges of its activations are then read is chosen by the true loss. Raises BadInput if the network cannot be had
    in a precision that was asked for by name.
    """
    if not (forms := asked_forms(job.runtime, job.precision)):
        return ALL_FP32, profile
    fixed = tuple(form for form in forms if form.activations != "dynamic")
    found, profile, failed = _timed(board, job, fixed, profile, path, watch)
    best = min(found, key=lambda form: _ms(found[form]), default=None)
    if _may_find_ranges_itself(job) and (best is None or _loses(job, best)):
        dynamic, profile, failed_too = _timed(
            board, job, [form for form in forms if form not in fixed], profile, path, watch
        )
        best = _better(job, best, found | dynamic, watch)
        found, failed = found | dynamic, failed or failed_too
    if best is None and failed is not None and job.precision != "auto":
        raise failed
    if best is None:
        watch.note("no other precision than fp32 is offered: the dense network was timed in none")
        return ALL_FP32, profile
    fp32_ms, best_ms = dense.measurement.median_ms, _ms(found[best])
    if best_ms > _GAINS * fp32_ms:
        watch.note(
            f"this board gains nothing from {best.precision}: the dense network takes {format_milliseconds(best_ms)} "
            f"in {best}, {format_milliseconds(fp32_ms)} in fp32"
        )
        if job.precision == "auto":
            return Precisions(ONLY_FP32, found[best]), profile
    if found[best].left_in_fp32:
        watch.note_once(without_int8(found[best].left_in_fp32, job.runtime.name))
    _choose_ranges(job, best, watch)
    return Precisions({**ONLY_FP32, best.precision: best}, found[best], demanded=job.precision != "auto"), profile


def _timed(
    board: Known, job: Job, forms: Sequence[Arithmetic], profile: Profile, path: Path, watch: Watch
) -> tuple[_Found, Profile, DeployError | None]:
    """The dense network in each of them, as far as it can be had so; and what hindered the last that it cannot."""
    found: _Found = {}
    failed: DeployError | None = None
    if forms:
        watch.progress.note(f"timing the dense network in {' and '.join(map(str, forms))}")
    for form in forms:
        try:
            [timed], profile = profiling.time_models(
                board.agent, job.runtime, [in_precision(job, form)], profile, path, on_note=watch.progress.note
            )
        except (BadInput, AgentError) as error:  # a board's runtime may not load what was exported for it
            if not isinstance(error, NotStored):
                watch.note(f"{form} is not offered: {error.what[:_TOLD]}")
            failed = error
            continue
        found[form] = timed
    return found, profile, failed


def _ms(timed: WholeModel) -> float:
    return timed.measurement.median_ms


def _may_find_ranges_itself(job: Job) -> bool:
    """Whether ranges that are found at each call may pay: those of convolutions do nowhere."""
    return any(isinstance(module, nn.Linear) for module in job.network.backbone.modules())


def _loses(job: Job, form: Arithmetic) -> bool:
    return has_ranges(form) and least_loss(job, form) > NEGLIGIBLE


def _better(job: Job, fixed: Arithmetic | None, found: _Found, watch: Watch) -> Arithmetic | None:
    """The fastest, but one that finds its ranges at each call where that loses much less and takes little more."""
    best = min(found, key=lambda form: _ms(found[form]), default=None)
    dynamic = next((form for form in found if form.activations == "dynamic"), None)
    if fixed is None or dynamic is None or best == dynamic or _ms(found[dynamic]) > _QUARTER_MORE * _ms(found[fixed]):
        return best
    less, more = least_loss(job, dynamic), least_loss(job, fixed)
    if less >= _HALF * more:
        return best
    watch.note(
        f"{dynamic} rather than {fixed}: the dense network loses {less:.2g} nats an example instead of {more:.2g}, and "
        f"takes {format_milliseconds(_ms(found[dynamic]))} instead of {format_milliseconds(_ms(found[fixed]))}"
    )
    return dynamic


def _choose_ranges(job: Job, arithmetic: Arithmetic, watch: Watch) -> None:
    """Here, so that whoever quantises later finds it known; said unless it is min-max."""
    if not has_ranges(arithmetic):
        return
    watch.progress.note(f"choosing how ranges of {arithmetic} activations are read, by the true loss")
    losses, best = losses_by_ranges(job, arithmetic), best_ranges(job, arithmetic)
    if best != "minmax":
        watch.note(
            f"ranges of {arithmetic} activations are read by {best}: the dense network then loses {losses[best]:.2g} "
            f"nats an example, by minmax {losses['minmax']:.2g}"
        )


def in_precision(job: Job, arithmetic: Arithmetic) -> Untimed:
    """The dense network with all of its layers in that arithmetic."""
    quantisation = only_timed(Quantisation(arithmetic, calibration_examples(job)))
    return Untimed(job.network.backbone, job.dense_head, job.example, quantisation=quantisation)
