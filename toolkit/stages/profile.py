"""Stage 2: time the model's layers and the dense whole on the device."""

import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from toolkit import profiling
from toolkit.choice import DENSE
from toolkit.compression import neighbours
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.profiling import ONLY_FP32, Arithmetics, Border, MemoryModel, Part, Profile, Untimed, WholeModel
from toolkit.profiling.activations import largest_activation_bytes
from toolkit.profiling.estimate import as_estimate
from toolkit.profiling.estimate import estimate as roofline
from toolkit.profiling.signature import signature_of
from toolkit.profiling.variants import Variants
from toolkit.stages.choose_runtime import asked_forms
from toolkit.stages.effort import layers_worth_s
from toolkit.stages.load import Job
from toolkit.stages.precisions import ALL_FP32, Precisions, choose_precisions
from toolkit.stages.probe import Absent, Known
from toolkit.stages.watch import Watch
from toolkit.units import format_milliseconds


@dataclass(frozen=True)
class Profiled:
    """Everything measured before anything is decided. `input_shapes` holds each layer's input for one example.

    `parts` are what may be chosen of the model, layers first, in its `precisions`; `own` names the rows of this model
    in the profile, which may hold other models' too. `borders` are where precisions may change, and `call_ms` is what a
    program takes that computes next to nothing.
    """

    profile: Profile
    path: Path
    dense: WholeModel
    memory: MemoryModel
    input_shapes: dict[str, tuple[int, ...]]
    parts: dict[str, Part] = field(default_factory=dict)
    precisions: Precisions = ALL_FP32
    own: frozenset[str] = frozenset()
    borders: tuple[Border, ...] = ()
    call_ms: float = 0.0


def profile(board: Known, job: Job, watch: Watch, budget_s: float | None = None) -> Profiled:
    """Layers as the predictor asks for them, a minute model and the dense whole.

    Nothing that was measured before is measured again, unless the dense model turns out to be faster by now. `budget_s`
    bounds the time spent on layers that can be predicted; None leaves it to the board's clock. Raises NotStored if the
    dense whole was not measured before and the board is not at hand.
    """
    with watch.stage("profile"):
        kept, path = profiling.open_profile(board.target, board.facts, job.runtime.name, board.runtime_version)
        found = measure(board, job, kept, path, watch, budget_s)
        key = profiling.row_of(dense_model(job))
        if board.agent is not None and kept.rows.get(key) is found.dense.measurement:
            found = _unless_faster_now(board, job, found, watch, budget_s)
        watch.was_cached = found.profile is kept
        return found


def _unless_faster_now(board: Known, job: Job, found: Profiled, watch: Watch, budget_s: float | None) -> Profiled:
    """What an earlier run measured; measured again if the dense model shows that a disturbed moment slowed it all.

    A disturbance only ever adds time, so that once is enough to find out. The dense model stands for the rest: a
    default budget follows from it, and every prediction begins with it. A board that is slower now says so later.
    """
    before = found.profile
    if before.clock != "wall":
        return found
    dense = dense_model(job)
    watch.progress.note("what was measured before is checked: the dense model is timed again")
    with tempfile.TemporaryDirectory() as aside:  # what is slower this time is not to be kept
        [now], _ = profiling.time_models(
            board.agent,
            job.runtime,
            [dense],
            before.without({profiling.row_of(dense)}),
            Path(aside, "profile.json"),
            patience=profiling.Patience(attempts=1),
        )
    was_ms, now_ms = found.dense.measurement.median_ms, now.measurement.median_ms
    if was_ms <= profiling.MOST_SPREAD * now_ms:
        return found
    watch.note(
        f"the dense model took {format_milliseconds(was_ms)} when it was profiled and takes "
        f"{format_milliseconds(now_ms)} now: this model is measured again"
    )
    wholes = {key for key in before.rows if key.startswith(profiling.WHOLE)}
    return measure(board, job, before.without(found.own | wholes), found.path, watch, budget_s)


def measure(board: Known, job: Job, kept: Profile, path: Path, watch: Watch, budget_s: float | None) -> Profiled:
    """The same, given what was measured before."""
    if budget_s is None and board.target.family.clock == "wall":
        budget_s = layers_worth_s(job)
    shapes = profiling.input_shapes(job.network.backbone, {**job.layers, **job.fixed}, job.example)
    precisions, now = _precisions(board, job, kept, path, watch)
    parts = _parts(job, shapes, board.target.family.rank_multiple, precisions.arithmetics)
    variants = profiling.variants_of(parts.values())
    missing = sum(key not in now.rows for key in variants)
    watch.progress.note(f"{len(variants)} distinct programs, {len(variants) - missing} of them measured before")
    if board.agent is not None:
        now = profiling.profile_layers(
            board.agent,
            job.runtime,
            variants,
            now,
            path,
            watch.progress.advance,
            budget_s=None if budget_s == math.inf else budget_s,
            on_note=watch.note,
            on_moment=watch.progress.note,
        )
    borders = _borders(job, shapes) if len(precisions.arithmetics) > 1 else ()
    if board.agent is not None and borders:
        conversions = profiling.conversions_of(borders, precisions.arithmetics)
        now = profiling.profile_conversions(
            board.agent, job.runtime, conversions, now, path, on_note=watch.progress.note
        )
    (minute, dense), now = profiling.time_models(
        board.agent, job.runtime, [_minute(), dense_model(job)], now, path, on_note=watch.progress.note
    )
    _tell(now, variants, dense, watch)
    memory = profiling.memory_model(minute, dense, largest_activation_bytes(job.layers, shapes))
    rows = frozenset([*variants, profiling.row_of(dense_model(job))])
    call_ms = minute.measurement.median_ms
    return Profiled(now, path, dense, memory, shapes, parts, precisions, rows, borders, call_ms)


def estimate(board: Absent, job: Job, watch: Watch) -> Profiled:
    """The same from the datasheet, on which nothing was measured: every row says so, and none is ever kept."""
    if not job.layers:
        raise BadInput("nothing is estimated of a model without layers to compress", where="model", next="Measure it.")
    with watch.stage("estimate"):
        datasheet = board.target.family.datasheet
        assert datasheet is not None  # `imagine` refuses such a target
        shapes = profiling.input_shapes(job.network.backbone, {**job.layers, **job.fixed}, job.example)
        parts = _parts(job, shapes, board.target.family.rank_multiple, ONLY_FP32)
        variants = profiling.variants_of(parts.values())
        threads = board.target.threads
        signatures = {key: signature_of(v.layer, v.input_shape, v.choice) for key, v in variants.items()}
        rows = {key: roofline(signature, datasheet, threads) for key, signature in signatures.items()}
        empty, _ = profiling.open_profile(board.target, board.facts, job.runtime.name, board.runtime_version)
        layers = [rows[str(signature_of(layer, shapes[name], DENSE))] for name, layer in job.layers.items()]
        parameters = sum(
            value.numel() for part in (job.network.backbone, job.dense_head) for value in part.parameters()
        )
        size = 4 * parameters
        peak = size + largest_activation_bytes(job.layers, shapes)
        dense = WholeModel(as_estimate(sum(row.median_ms for row in layers)), peak, size)
        memory = MemoryModel(base_bytes=0.0, per_byte=1.0)
        return Profiled(empty.model_copy(update={"rows": rows}), Path("nowhere"), dense, memory, shapes, parts)


def _precisions(board: Known, job: Job, kept: Profile, path: Path, watch: Watch) -> tuple[Precisions, Profile]:
    if not (job.layers or job.fixed) or not asked_forms(job.runtime, job.precision):
        return ALL_FP32, kept
    [dense], now = profiling.time_models(
        board.agent, job.runtime, [dense_model(job)], kept, path, on_note=watch.progress.note
    )
    return choose_precisions(board, job, dense, now, path, watch)


def _parts(job: Job, shapes: dict[str, tuple[int, ...]], multiple: int, arithmetics: Arithmetics) -> dict[str, Part]:
    model = job.network.backbone
    layers = [
        profiling.layer_part(name, layer, shapes[name], multiple, arithmetics) for name, layer in job.layers.items()
    ]
    fixed = [profiling.fixed_part(name, layer, shapes[name], arithmetics) for name, layer in job.fixed.items()]
    groups = [profiling.group_part(model, group, job.example, multiple, arithmetics) for group in job.groups.values()]
    single = {**job.layers, **job.fixed}
    blocks = [profiling.block_part(block, single, shapes, arithmetics) for block in job.blocks.values()]
    return {part.name: part for part in (*layers, *(fixed if len(arithmetics) > 1 else ()), *groups, *blocks)}


def _borders(job: Job, shapes: dict[str, tuple[int, ...]]) -> tuple[Border, ...]:
    layers = [*job.layers, *job.fixed]
    pairs = neighbours(job.network.backbone, job.example, layers)
    return tuple(Border(before, after, shapes[after]) for before, after in pairs)


def _minute() -> Untimed:
    """A process that runs this needs what any process of the runtime needs."""
    return Untimed(nn.Flatten(), nn.Linear(4, 2), inputs_of(torch.zeros(1, 4)))


def dense_model(job: Job) -> Untimed:
    """The whole that nothing was taken from."""
    return Untimed(job.network.backbone, job.dense_head, job.example, judged_by_p95=True)


def _tell(profile: Profile, variants: Variants, dense: WholeModel, watch: Watch) -> None:
    """What was disturbed is said wherever it is used, however long ago it was measured."""
    flagged = [flags for key in variants if key in profile.rows and (flags := profile.rows[key].flags)]
    if flagged:
        words = ", ".join(sorted({flag for flags in flagged for flag in flags}))
        watch.note(f"{len(flagged)} of {len(variants)} layer times were disturbed ({words}): take them with caution")
    if dense.measurement.flags:
        watch.note(
            f"the dense model's time was disturbed ({', '.join(dense.measurement.flags)}): its p95 is "
            f"{format_milliseconds(dense.measurement.p95_ms)} of a median of "
            f"{format_milliseconds(dense.measurement.median_ms)}"
        )
    if dense.measurement.paced_median_ms and dense.measurement.paced_rate_hz:
        watch.progress.note(
            f"dense: {format_milliseconds(dense.measurement.median_ms)} in a tight loop, "
            f"{format_milliseconds(dense.measurement.paced_median_ms)} at {dense.measurement.paced_rate_hz:g} Hz"
        )
