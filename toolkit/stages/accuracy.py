"""True accuracy of a compact model, before its cores are trained and after."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from scipy.stats import binomtest
from torch import nn

from toolkit.adaptation import features_of, fitted_right
from toolkit.cache import digest
from toolkit.choice import Choice, Selection
from toolkit.compression import Spectra, compress
from toolkit.kept import keep, open_kept
from toolkit.profiling import ONLY_FP32, Arithmetics
from toolkit.sources import code_digest
from toolkit.stages.load import Job
from toolkit.stages.quantise import computing_as, quantisation_of
from toolkit.stages.statistics import is_cut, renew_statistics
from toolkit.tasks import Examples

_BY_CHANCE = 0.05


@dataclass(frozen=True)
class Judgement:
    """What a model scores on each of some examples, (N,), of a classifier 1 where it is right; and what they are."""

    scores: torch.Tensor
    data: str

    @property
    def accuracy(self) -> float:
        """Their mean."""
        return _mean(self.scores)


def accuracy_before_recovery(
    job: Job, spectra: Spectra, chosen: Mapping[str, Choice], arithmetics: Arithmetics = ONLY_FP32
) -> float:
    """On held-out examples of the general classes if the task has them, else on the task's queries; kept."""
    if job.task.general_query is not None:
        return expected_accuracy(job, spectra, chosen, arithmetics)
    query = job.task.query

    def on_queries(backbone: nn.Module) -> float:
        return _mean(_scores(job, job.dense_head(features_of(backbone, query.x)), query))

    return _of_cut(job, spectra, chosen, arithmetics, on_queries, query)


def expected_accuracy(
    job: Job, spectra: Spectra, chosen: Mapping[str, Choice], arithmetics: Arithmetics = ONLY_FP32
) -> float:
    """What a choice may be made by, which the task's queries are not: see `judged_on`; kept."""
    judged = job.task.general_query
    return _of_cut(job, spectra, chosen, arithmetics, lambda backbone: accuracy_of(job, backbone), judged)


def accuracy_of(job: Job, backbone: nn.Module) -> float:
    """The same of any backbone."""
    return _mean(_cross_validated(job, backbone) if job.task.general_query is None else _general(job, backbone))


def judge(job: Job, backbone: nn.Module) -> tuple[Judgement, ...]:
    """By held-out examples of the general classes, if there are any, and by the support, if it can be judged by."""
    found = []
    if job.task.general_query is not None:
        found.append(Judgement(_general(job, backbone), judged_on(job)))
    support = f"{len(job.task.support)} support examples"
    if job.start == "pretrained":
        found.append(Judgement(_cross_validated(job, backbone), support))
    elif int(torch.bincount(job.task.support.y).max()) > 1:
        found.append(Judgement(_cross_validated(job, backbone), f"{support}, cross-validated"))
    return tuple(found)


def is_worse(after: Judgement, before: Judgement) -> bool:
    """Whether it is worse on more of the same examples than it is better on, and not by chance.

    By the sign test, one-sided, which of right and wrong is McNemar's exact test.
    """
    lost, won = int((after.scores < before.scores).sum()), int((after.scores > before.scores).sum())
    return lost > won and binomtest(lost, lost + won, alternative="greater").pvalue < _BY_CHANCE


@torch.no_grad()
def variation(job: Job, backbone: nn.Module) -> float:
    """Mean standard deviation of its features (units of the features) over the support examples; 0: all are one."""
    return float(features_of(backbone, job.task.support.x).std(0, correction=0).mean())


def judged_on(job: Job) -> str:
    """What `expected_accuracy` is measured on."""
    if job.task.general_query is not None:
        return f"{len(job.task.general_query)} held-out examples of the general classes"
    return f"{len(job.task.support)} support examples, cross-validated (no general data is held out)"


def shown_on(job: Job) -> str:
    """What `accuracy_before_recovery` is measured on."""
    if job.task.general_query is not None:
        return judged_on(job)
    return f"{len(job.task.query)} queries of {job.task.name}"


def _of_cut(
    job: Job,
    spectra: Spectra,
    chosen: Mapping[str, Choice],
    arithmetics: Arithmetics,
    accuracy: Callable[[nn.Module], float],
    judged: Examples | None,
) -> float:
    """Of the compact backbone, its batch normalisation in the state that recovery would begin with.

    One of these very weights that was judged on the same examples before is not judged again.
    """
    backbone = compress(job.network.backbone, spectra, chosen)
    quantisation = quantisation_of(job, chosen, arithmetics)
    packages = "toolkit.compression", "toolkit.distillation", "toolkit.adaptation.heads"
    code = code_digest(*packages, "toolkit.stages.quantise", "toolkit.stages.statistics", __name__)
    weights = [value.detach().contiguous().numpy().tobytes() for value in backbone.state_dict().values()]

    def judge_it() -> float:
        if is_cut(chosen):
            renew_statistics(job, backbone, (job.task.general or job.task.support).x)
        with computing_as(backbone, quantisation):
            return accuracy(backbone)

    read = [part for part in (judged, job.task.support, job.task.general) if part is not None]
    content = [value for part in read for value in part.content]
    kept = open_kept("accuracy", digest(job.key, len(read), *content, code))
    computed = f"{quantisation.arithmetic} {quantisation.ranges}" if quantisation else ""
    return keep(kept, digest(Selection(dict(chosen)).key, computed, *weights), judge_it)


def _general(job: Job, backbone: nn.Module) -> torch.Tensor:
    examples = job.task.general_query
    assert examples is not None
    return _scores(job, job.general_logits(features_of(backbone, examples.x)), examples)


@torch.no_grad()
def _cross_validated(job: Job, backbone: nn.Module) -> torch.Tensor:
    """Every support example judged by a head that did not see it; the pretrained head, where that is the start."""
    support, classes = job.task.support, len(job.task.classes)
    if job.start == "pretrained":
        return _scores(job, job.dense_head(features_of(backbone, support.x)), support)
    right, _ = fitted_right(features_of(backbone, support.x), support.y, classes)
    return right.float()


@torch.no_grad()
def _scores(job: Job, outputs: torch.Tensor, examples: Examples) -> torch.Tensor:
    return job.objective.score(outputs, examples.y)


def _mean(scores: torch.Tensor) -> float:
    return float(scores.mean())
