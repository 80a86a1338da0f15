"""In which precisions a board is offered a network's layers: its clock decides, on the dense network."""

from dataclasses import dataclass
from pathlib import Path

from toolkit import profiling
from toolkit.choice import Choice
from toolkit.errors import BadInput
from toolkit.profiling import ONLY_FP32, Arithmetics, NotStored, Profile, Untimed, WholeModel
from toolkit.runtimes.arithmetic import Arithmetic
from toolkit.stages.load import Job
from toolkit.stages.probe import Known
from toolkit.stages.quantise import quantisation_of
from toolkit.stages.watch import Watch
from toolkit.units import format_milliseconds

# Of the dense network's time in fp32: one that takes more in another precision gains nothing that a measurement shows.
_GAINS = 0.97


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

    With `auto` only if that is faster than fp32; what was asked for by name is obeyed, and said where it is slower.
    Raises BadInput if the runtime has no such precision, or the network cannot be had in it.
    """
    asked = ("int8", "fp16") if job.precision == "auto" else (job.precision,)
    forms = [each for each in job.runtime.arithmetics if each.precision in asked and each.activations != "dynamic"]
    if job.precision == "fp32" or (job.precision == "auto" and not forms):
        return ALL_FP32, profile
    if not forms:
        raise BadInput(
            f"runtime {job.runtime.name} has no {job.precision}",
            where=f"--precision {job.precision}",
            next="Choose --precision fp32, or another --runtime.",
        )
    watch.progress.note(f"timing the dense network in {' and '.join(map(str, forms))}")
    found: dict[Arithmetic, WholeModel] = {}
    failed: BadInput | None = None
    for form in forms:
        try:
            [timed], profile = profiling.time_models(
                board.agent, job.runtime, [in_precision(job, form)], profile, path, on_note=watch.note
            )
        except BadInput as error:
            if not isinstance(error, NotStored):
                watch.note(f"{form} is not offered: {error.what}")
            failed = error
            continue
        found[form] = timed
    if not found and failed is not None and job.precision != "auto":
        raise failed
    if not found:
        watch.note("no other precision than fp32 is offered: the dense network was timed in none")
        return ALL_FP32, profile
    best = min(found, key=lambda form: found[form].measurement.median_ms)
    fp32_ms, best_ms = dense.measurement.median_ms, found[best].measurement.median_ms
    if best_ms > _GAINS * fp32_ms:
        watch.note(
            f"this board gains nothing from {best.precision}: the dense network takes {format_milliseconds(best_ms)} "
            f"in {best}, {format_milliseconds(fp32_ms)} in fp32"
        )
        if job.precision == "auto":
            return Precisions(ONLY_FP32, found[best]), profile
    return Precisions({**ONLY_FP32, best.precision: best}, found[best], demanded=job.precision != "auto"), profile


def in_precision(job: Job, arithmetic: Arithmetic) -> Untimed:
    """The dense network with all of its layers in that arithmetic."""
    everything = {name: Choice(precision=arithmetic.precision) for name in (*job.layers, *job.fixed)}
    quantisation = quantisation_of(job, everything, {arithmetic.precision: arithmetic})
    return Untimed(job.network.backbone, job.dense_head, job.example, quantisation=quantisation)
