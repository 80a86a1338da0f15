"""Stage 9: the board learns the task from its support examples, and classifies queries it has never seen."""

from dataclasses import dataclass
from typing import Any

import torch

from toolkit.adaptation import Training, adapt_on_device, infer_before_and_after
from toolkit.deployment import Adaptation, CurvePoint, Guard, HeldOut
from toolkit.objectives import Objective
from toolkit.profiling import Accepted
from toolkit.request import Request
from toolkit.runtimes.bundle import Bundle
from toolkit.stages.effort import learning_steps
from toolkit.stages.jitter import jitter
from toolkit.stages.load import Job
from toolkit.stages.probe import Board
from toolkit.stages.watch import Watch
from toolkit.tasks import Examples

# Queries are classified one at a time on the device: as many as this takes, and no fewer than a figure needs.
_QUERY_SECONDS, _QUERIES_AT_LEAST = 3.0, 200


@dataclass(frozen=True)
class Adapted:
    """What the board learned, and its outputs (N, ...) on `queries` (all, or a random part) before and after."""

    adaptation: Adaptation
    queries: Examples
    logits_before: torch.Tensor
    logits_after: torch.Tensor


def adapt(board: Board, job: Job, bundle: Bundle, verified: Accepted, request: Request, watch: Watch) -> Adapted | None:
    """Let the board learn. Raises BoardError.

    None for a release that is not in service or cannot learn, and where the user does not want it.
    """
    if verified.refusals or not bundle.learns:
        return None
    if not request.adapt:
        watch.note("the board learns nothing in this run (--no-adapt)")
        return None
    with watch.stage("adapt"):
        curve: list[CurvePoint] = []
        losses: list[float] = []
        folds = 0
        steps = learning_steps(job, request.adapt_steps)

        def on_event(event: dict[str, Any]) -> None:
            nonlocal folds
            total = (folds + 1) * steps
            if event["event"] == "folds":
                folds = event["folds"]
            elif event["event"] == "curve":
                curve.append(CurvePoint(step=event["step"], loss=event["loss"], accuracy=event["score"]))
                watch.progress.advance(event["step"] * folds, total)
            elif event["event"] == "step":
                losses.append(event["loss"])
                watch.progress.advance(folds * steps + event["step"], total)

        threads = board.target.threads
        said = adapt_on_device(
            board.agent,
            bundle.digest,
            job.task.support.x,
            job.task.support.y,
            job.task.strata,
            Training(steps, jitter(job), threads, request.seed),
            on_event=on_event,
            on_note=watch.note,
        )
        if not said["accepted"]:
            watch.note(f"the board did not take what it learned: {said['reason']}")
        queries = _affordable(job.task.query, verified.measurement.median_ms, request.seed)
        before, after = infer_before_and_after(board.agent, bundle.digest, queries.x, threads)
        tell_of_a_loss(job.objective, queries, before, after, watch)
        adaptation = Adaptation(
            accepted=said["accepted"],
            reason=said["reason"],
            steps=said["steps"],
            folds=said["folds"],
            trained_values=said["trained_values"],
            step_ms=said["step_ms"],
            peak_bytes=said["peak_bytes"],
            guard=Guard.model_validate(said["guard"]) if said.get("guard") else None,
            held_out=_held_out(said["held_out"]) if said["held_out"] else None,
            curve=tuple(curve),
            training_loss=tuple(losses),
        )
        return Adapted(adaptation, queries, before, after)


def _held_out(said: dict[str, float]) -> HeldOut:
    return HeldOut(
        accuracy_before=said["score_before"],
        accuracy_after=said["score_after"],
        loss_before=said["loss_before"],
        loss_after=said["loss_after"],
    )


def tell_of_a_loss(
    objective: Objective, queries: Examples, before: torch.Tensor, after: torch.Tensor, watch: Watch
) -> None:
    """The board judges by held-out support examples: few may promise what the queries do not keep."""
    was, now = (float(objective.score(outputs, queries.y).mean()) for outputs in (before, after))
    if now < was:
        watch.note(
            f"after learning, {objective.measure} on {len(queries)} queries is {now:.1%}, and was {was:.1%}: "
            "give more --shots, or other adaptation.steps (--set)"
        )


def _affordable(query: Examples, median_ms: float, seed: int) -> Examples:
    most = max(_QUERIES_AT_LEAST, int(_QUERY_SECONDS * 1e3 / median_ms))
    if len(query) <= most:
        return query
    index = torch.randperm(len(query), generator=torch.Generator().manual_seed(seed))[:most]
    return query[index]
