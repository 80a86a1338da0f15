"""The least accuracy that a release may have, where the user says one."""

from dataclasses import replace

import torch
from torch import nn

from toolkit.adaptation import features_of
from toolkit.profiling import Accepted, Refusal
from toolkit.stages.accuracy import shown_on
from toolkit.stages.compress import Compacted
from toolkit.stages.load import Job
from toolkit.stages.quantise import computing_as


def hold_accuracy(job: Job, compact: Compacted, accepted: Accepted, least: float | None) -> Accepted:
    """With one more reason to refuse where the compact model, as the board computes it, scores less.

    `least` is a share of held-out examples of the general classes if the task has them, else of its queries, before
    the board learns.
    """
    if least is None:
        return accepted
    with computing_as(compact.backbone, compact.quantisation):
        accuracy = _accuracy(job, compact.backbone, compact.head)
    if accuracy >= least:
        return accepted
    dense = _accuracy(job, job.network.backbone, job.dense_head)
    found = f"{job.objective.measure} is {accuracy:.1%} (dense {dense:.1%}) on {shown_on(job)}"
    reason = f"{found}, below --min-accuracy {least:.1%}"
    return replace(accepted, refusals=(*accepted.refusals, Refusal("accuracy", reason)))


@torch.no_grad()
def _accuracy(job: Job, backbone: nn.Module, head: nn.Module) -> float:
    examples = job.task.general_query or job.task.query
    features = features_of(backbone, examples.x)
    outputs = head(features) if examples is job.task.query else job.general_logits(features)
    return float(job.objective.score(outputs, examples.y).mean())
