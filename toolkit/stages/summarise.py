"""Gather what the stages found into one Deployment: predicted beside measured."""

import datetime
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from toolkit import __version__, compression
from toolkit.adaptation import features_of
from toolkit.choice import DENSE, Choice, Form
from toolkit.compression import matrix
from toolkit.deployment import (
    Accuracy,
    AccuracyTable,
    Alternative,
    Bytes,
    Deployment,
    FrontierPoint,
    Latency,
    LayerChoice,
    NodeCounts,
    Refusal,
)
from toolkit.objectives import OverAll
from toolkit.profiling import Accepted
from toolkit.request import Request
from toolkit.runtimes.bundle import Bundle
from toolkit.stages.adapt import Adapted
from toolkit.stages.compress import Compacted
from toolkit.stages.load import Job
from toolkit.stages.planned import Planned
from toolkit.stages.probe import Known
from toolkit.stages.quantise import computing_as
from toolkit.stages.tell import (
    DEPLOYED,
    tell_of_a_loss,
    tell_of_a_prediction,
    tell_of_a_rival,
    tell_of_impossible_times,
)
from toolkit.stages.watch import Watch
from toolkit.tasks import Examples

# What a result calls them.
_FORMS: dict[Form, Literal["dense", "compact", "channels", "removed"]] = {
    "dense": "dense",
    "rank": "compact",
    "channels": "channels",
    "removed": "removed",
}


@dataclass(frozen=True)
class Made:
    """What a deployment made of its plan; nothing is adapted where the board refused the release, or cannot learn."""

    compact: Compacted
    bundle: Bundle
    verified: Accepted
    adapted: Adapted | None


def summarise(
    request: Request, job: Job, board: Known, planned: Planned, watch: Watch, made: Made | None = None
) -> Deployment:
    """The result of a deployment, or, where nothing was made, of a plan."""
    allocation, profile, budget = planned.allocation, planned.profile, planned.budget
    weights = {name: matrix(layer).numel() for name, layer in job.layers.items()}
    cut = {name: allocation.selection[name] for name in (*job.groups, *job.blocks)}
    narrowed = compression.compress(job.network.backbone, planned.spectra, cut)
    narrowed_weights = {
        name: matrix(layer).numel()
        for name, layer in narrowed.named_modules()
        if name in job.layers and isinstance(layer, nn.Linear | nn.Conv2d)
    }
    compact_weights = {
        name: narrowed_weights.get(name, 0)
        if choice.size is None
        else choice.size * sum(matrix(job.layers[name]).shape)
        for name, choice in allocation.selection.items()
        if name in job.layers
    }
    saved = sum(narrowed_weights.values()) - sum(compact_weights.values())
    verified, bundle = (made.verified, made.bundle) if made else (None, None)
    now = verified.measurement if verified else None
    estimate = "estimate" in profile.dense.measurement.flags
    accuracy, frontier = (_accuracy_table(job, made) if made else None), planned.frontier
    if made and accuracy:
        frontier = (*frontier, _deployed_point(planned, made, accuracy))
        tell_of_a_loss(accuracy, job.objective.measure, watch)
        tell_of_a_rival(frontier, _dense_in(planned), watch)
    choices = _choices(job, planned, bundle.left_in_fp32 if bundle else ())
    single = {each.layer: each.predicted_ms for each in choices if each.choice in ("dense", "compact")}
    tell_of_impossible_times(single, watch)
    if made is None:
        outputs = len(job.network.head.weight) if job.network.head else len(job.task.classes)
        if job.task.classifies:
            tell_of_a_prediction(sum(each.loss_nats for each in choices), outputs, watch)
    return Deployment(
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        toolkit_version=__version__,
        target=board.target.name,
        target_verified=board.target.family.verified,
        runtime=job.runtime.name,
        runtime_version=board.runtime_version,
        seed=request.seed,
        model=request.model,
        weights=None if request.weights is None else str(request.weights),
        hf_task=request.hf_task,
        task=job.task.name,
        classes=job.task.classes,
        measure=job.objective.measure,
        shots=len(job.task.support) // max(1, len(job.task.classes) if job.task.classifies else 1),
        device_facts=vars(board.facts),
        conditions=verified.conditions if verified else {"before": board.facts.conditions},
        stages=tuple(watch.stages),
        allocator=request.allocator,
        curve=request.curve,
        allocation=choices,
        bound_gap=allocation.bound_gap,
        latency_ms=Latency(
            budget=budget.latency_ms.value if budget.latency_ms else None,
            source=budget.latency_ms.source if budget.latency_ms else "no limit",
            planned_median=planned.limits.latency_ms,
            predicted=allocation.latency_ms,
            predicted_low=allocation.latency_ms if estimate else planned.predicted.low_ms,
            predicted_high=None if estimate else planned.predicted.high_ms,
            median=now.median_ms if now else None,
            p95=now.p95_ms if now else None,
            min=now.min_ms if now else None,
            runs=now.runs if now else None,
            attempts=verified.attempts if verified else None,
            dense_median=profile.dense.measurement.median_ms,
            dense_p95=None if estimate else profile.dense.measurement.p95_ms,
            clock=board.target.family.clock,
        ),
        peak_memory_bytes=Bytes(
            budget=budget.peak_memory_bytes.value if budget.peak_memory_bytes else None,
            source=budget.peak_memory_bytes.source if budget.peak_memory_bytes else "no limit",
            predicted=allocation.peak_bytes,
            measured=verified.peak_bytes if verified else None,
            dense=profile.dense.peak_bytes,
        ),
        size_bytes=Bytes(
            budget=budget.size_bytes.value if budget.size_bytes else None,
            source=budget.size_bytes.source if budget.size_bytes else "no limit",
            predicted=allocation.size_bytes,
            measured=bundle.inference_bytes if bundle else None,
            dense=profile.dense.size_bytes,
        ),
        release_bytes=bundle.total_bytes if bundle else None,
        parameters_dense=_numel(job.network.backbone) + _numel(job.dense_head),
        parameters_compact=_numel(narrowed) + _numel(job.dense_head) - saved,
        compressible_parameters_dense=sum(weights.values()),
        compressible_parameters_compact=sum(compact_weights.values()),
        accuracy=accuracy,
        host_device_max_abs_difference=verified.max_abs_difference if verified else None,
        host_device_max_relative_difference=verified.max_relative_difference if verified else None,
        distill=str(request.distill) if made else None,
        recovery=made.compact.recovery if made else None,
        nodes=NodeCounts(**vars(bundle.nodes)) if bundle else None,
        frontier=frontier,
        adaptation=made.adapted.adaptation if made and made.adapted else None,
        release=bundle.digest if bundle else None,
        active=verified is not None and not verified.refusals,
        refusals=tuple(Refusal(**vars(each)) for each in verified.refusals) if verified else (),
        notes=tuple(watch.notes),
    )


def _dense_in(planned: Planned) -> str | None:
    """What a frontier calls the network that was chosen, where it is dense and in one precision throughout."""
    selection, parts = planned.allocation.selection, planned.costs.parts
    if any(choice.form != "dense" for _, choice in selection.items()):
        return None
    other = {choice.precision for _, choice in selection.items()} - {"fp32"}
    if not other:
        return "dense"
    [precision] = other  # a board is offered one besides fp32
    wanted = Choice(precision=precision)
    whole = all(selection[name] == wanted for name in selection if wanted in parts[name])
    return f"dense {precision}" if whole else None


def _choices(job: Job, planned: Planned, unable: Collection[str]) -> tuple[LayerChoice, ...]:
    """Of each layer that is left, each group that loses channels, and each block that goes, in place of its layers."""
    choices = []
    selection, parts = planned.allocation.selection, planned.costs.parts
    gone = {name: block.layers for name, block in job.blocks.items() if selection[name].form == "removed"}
    within = {layer for layers in gone.values() for layer in layers}
    for name, choice in selection.items():
        group = job.groups.get(name)
        if name in within or (choice == DENSE and (group or name in job.blocks)):
            continue
        stood = [layer for layer in gone.get(name, ()) if layer in parts]
        cost, counted = parts[name][choice], [parts[layer][selection[layer]] for layer in stood]
        curve = planned.gains.get(name)  # where the dense model fits, nothing was weighed
        loss = 0.0 if choice == DENSE or curve is None else curve.dense - curve.of(choice)
        choices.append(
            LayerChoice(
                layer=name,
                choice=_FORMS[choice.form],
                rank=0 if name in gone else choice.size,
                full_rank=_full_size(job, name),
                precision="fp32" if name in unable else choice.precision,
                predicted_ms=cost.latency_ms + sum(each.latency_ms for each in counted),
                source=cost.source,
                dense_ms=parts[name][DENSE].latency_ms + sum(parts[layer][DENSE].latency_ms for layer in stood),
                gain_kept=1.0 if loss <= 0 or curve is None else 1 - loss / curve.dense,
                loss_nats=loss,
                weight_bytes=0 if name in gone else cost.weight_bytes + sum(each.weight_bytes for each in counted),
                alternative=None if name in unable else _alternative(planned, name, choice),
                unable=name in unable,
            )
        )
    return tuple(choices)


def _alternative(planned: Planned, name: str, choice: Choice) -> Alternative | None:
    """The same in the other precision; None where there is none, and of a group, of which each costs a difference."""
    if choice.form == "channels":
        return None
    row, gains = planned.costs.parts[name], planned.gains.get(name)
    for other in row:
        if other.precision != choice.precision and replace(other, precision=choice.precision) == choice:
            lost = gains.dense - gains.of(other) if gains else None
            return Alternative(precision=other.precision, predicted_ms=row[other].latency_ms, loss_nats=lost)
    return None


def _full_size(job: Job, part: str) -> int:
    """Of a layer its full rank, of a group its channels, of a block its layers."""
    if part in job.groups:
        return job.groups[part].channels
    if part in job.blocks:
        return len(job.blocks[part].layers)
    return min(matrix({**job.layers, **job.fixed}[part]).shape)


@torch.no_grad()
def _accuracy_table(job: Job, made: Made) -> AccuracyTable:
    compact, adapted = made.compact, made.adapted
    query, general = job.task.query, job.task.general_query
    on_query = f"queries of {job.task.name}, {len(job.task.support)} support examples"

    def on_host(backbone: nn.Module, examples: Examples, dense: bool, data: str) -> Accuracy:
        features = features_of(backbone, examples.x)
        if examples is general:
            logits = job.general_logits(features)
        else:
            logits = (job.dense_head if dense else compact.head)(features)
        return _score(job, logits, examples, data, ran_on="host")

    def compact_on_host(examples: Examples, data: str) -> Accuracy:
        with computing_as(compact.backbone, compact.quantisation):
            return on_host(compact.backbone, examples, False, data)

    return AccuracyTable(
        general_dense=on_host(job.network.backbone, general, True, "held-out general classes") if general else None,
        general_compact=compact_on_host(general, "held-out general classes") if general else None,
        task_dense=on_host(job.network.backbone, query, True, on_query),
        task_compact=_score(job, adapted.logits_before, adapted.queries, on_query, ran_on="device")
        if adapted
        else compact_on_host(query, on_query),
        task_adapted=_score(job, adapted.logits_after, adapted.queries, on_query, ran_on="device") if adapted else None,
    )


def _score(job: Job, outputs: torch.Tensor, examples: Examples, data: str, *, ran_on: str) -> Accuracy:
    return Accuracy(
        value=float(job.objective.score(outputs, examples.y).mean()),
        examples=len(examples),
        data=data,
        ran_on="device" if ran_on == "device" else "host",
        over_all=job.objective.over_all(outputs, examples.y) if isinstance(job.objective, OverAll) else {},
    )


def _deployed_point(planned: Planned, made: Made, accuracy: AccuracyTable) -> FrontierPoint:
    shown, recovery = accuracy.general_compact or accuracy.task_compact, made.compact.recovery
    return FrontierPoint(
        label=DEPLOYED,
        latency_ms=made.verified.measurement.median_ms,
        predicted_ms=planned.allocation.latency_ms,
        size_bytes=made.bundle.inference_bytes,
        accuracy=shown.value,
        recovered=recovery is not None and recovery.kept,
    )


def _numel(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())
