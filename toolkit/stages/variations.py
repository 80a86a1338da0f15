"""How examples vary by default while a compact model learns from them: in ways that the dense network does not mind."""

import torch

from toolkit.adaptation import features_of
from toolkit.adaptation.on_device import JITTER
from toolkit.augmentation import Augmentation
from toolkit.cache import digest
from toolkit.kept import keep, open_kept
from toolkit.sources import code_digest
from toolkit.stages.accuracy import Judgement, is_worse
from toolkit.stages.load import Job
from toolkit.stages.statistics import moved_in_training
from toolkit.tasks import Examples

_JUDGED = 256
# Of all inputs to a few examples: a rectifier cuts some off, too.
_TRIED, _UNREACHED = 4, 0.05
# Of accuracy, whatever chance says of few examples.
_HARMLESS = 0.02


def usual_variations(job: Job) -> Augmentation:
    """Images are moved, as in the dense network's training where that is known, else by `shift`; other inputs are not.

    They are mirrored, too, where the dense network is as good at mirrored ones: it was trained on such, and a digit's
    or a spectrogram's mirror image is another thing.
    """
    if job.task.support.x.dim() != 4:
        return ()
    moved = moved_in_training(job) or ("shift",)
    packages = "toolkit.distillation", "toolkit.adaptation.heads"
    code = code_digest(*packages, "toolkit.stages.accuracy", "toolkit.stages.statistics", __name__)
    kept = open_kept("variations", digest(job.key, code))
    return (*moved, "mirror") if keep(kept, "mirror", lambda: float(_minds_no_mirror(job))) else moved


def jitter(job: Job) -> float:
    """How far a board may shake the examples that it learns from, in their deviations; names are not shaken at all.

    Whole numbers that no gradient comes back to are names: of tokens, say, and another number is another token.
    """
    x = job.task.support.x[:_TRIED].clone().requires_grad_(True)
    with torch.enable_grad():
        answer = job.network.backbone(x).sum()
        [gradient] = torch.autograd.grad(answer, [x], allow_unused=True) if answer.requires_grad else [None]
    are_whole = torch.equal(job.task.support.x, job.task.support.x.round())
    unreached = 1.0 if gradient is None else float((gradient == 0).float().mean())
    return 0.0 if are_whole and unreached > _UNREACHED else JITTER


def _minds_no_mirror(job: Job) -> bool:
    examples = job.task.general or job.task.support
    drawn = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))[:_JUDGED]
    some = Examples(examples.x[drawn], examples.y[drawn])
    plain, mirrored = _judged(job, some), _judged(job, Examples(some.x.flip(3), some.y))
    return not is_worse(mirrored, plain) and plain.accuracy - mirrored.accuracy <= _HARMLESS


@torch.no_grad()
def _judged(job: Job, examples: Examples) -> Judgement:
    features = features_of(job.network.backbone, examples.x)
    logits = job.general_logits(features) if job.task.general else job.dense_head(features)
    return Judgement(logits.argmax(1) == examples.y, "")
