"""How examples vary by default while a compact model learns from them: in ways that the dense network does not mind."""

import torch

from toolkit.adaptation import features_of
from toolkit.augmentation import Augmentation
from toolkit.cache import digest
from toolkit.kept import keep, open_kept
from toolkit.sources import code_digest
from toolkit.stages.accuracy import Judgement, is_worse
from toolkit.stages.load import Job
from toolkit.stages.statistics import moved_in_training
from toolkit.tasks import Examples

_JUDGED = 256
# Of accuracy, whatever chance says of few examples.
_HARMLESS = 0.02


def usual_variations(job: Job) -> Augmentation:
    """Images are moved, as in the dense network's training where that is known, else by `shift`; other inputs are not.

    They are mirrored, too, where the dense network is as good at mirrored ones: it was trained on such, and a digit's
    or a spectrogram's mirror image is another thing.
    """
    if not job.task.support.x.images() or not job.task.classifies:  # elsewhere targets move with their images
        return ()
    moved = moved_in_training(job) or ("shift",)
    packages = "toolkit.distillation", "toolkit.adaptation.heads"
    code = code_digest(*packages, "toolkit.stages.accuracy", "toolkit.stages.statistics", __name__)
    kept = open_kept("variations", digest(job.key, code))
    return (*moved, "mirror") if keep(kept, "mirror", lambda: float(_minds_no_mirror(job))) else moved


def _minds_no_mirror(job: Job) -> bool:
    examples = job.task.general or job.task.support
    drawn = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))[:_JUDGED]
    some = examples[drawn]
    flipped = some.x.with_tensors({name: each.flip(3) for name, each in some.x.images().items()})
    plain, mirrored = _judged(job, some), _judged(job, Examples(flipped, some.y))
    return not is_worse(mirrored, plain) and plain.accuracy - mirrored.accuracy <= _HARMLESS


@torch.no_grad()
def _judged(job: Job, examples: Examples) -> Judgement:
    features = features_of(job.network.backbone, examples.x)
    logits = job.general_logits(features) if job.task.general else job.dense_head(features)
    return Judgement(job.objective.score(logits, examples.y), "")
