"""Batch normalisation of a network that was cut: statistics anew, of examples as its dense network was trained on.

A network that was trained on varied examples has their statistics. Those of 1,024 examples as they are cost a dense
ResNet-20 on CIFAR-10 1.8 points of accuracy (87.35 to 85.55 % of 2,000 images), those of shifted ones 1.2, and those of
crops of images padded with zeros, on which it was trained, 0.25: the dense network's own statistics tell which.
"""

import copy
from collections.abc import Mapping
from functools import partial

import torch
from torch import nn

from toolkit.adaptation import features_of
from toolkit.augmentation import Augmentation
from toolkit.cache import digest
from toolkit.choice import Choice
from toolkit.distillation import ENOUGH, augment_for, estimate_statistics
from toolkit.inputs import Inputs
from toolkit.kept import keep, open_kept
from toolkit.sources import code_digest
from toolkit.stages.effort import is_large
from toolkit.stages.load import Job

_JUDGED = 256
# In which ways images may have been moved; of equals the first.
_MOVES: tuple[Augmentation, ...] = ((), ("shift",), ("crop",))
# Nats: less is the rounding of a sum, and equal.
_ROUNDING = 1e-6


def renew_statistics(job: Job, backbone: nn.Module, x: Inputs) -> None:
    """Of a backbone that was cut, in place, by the examples `x`; see `estimate_statistics`."""
    estimate_statistics(backbone, as_trained(job, x))


def as_trained(job: Job, x: Inputs) -> Inputs:
    """Examples as the dense network saw such in its training, as far as its own statistics tell."""
    return _varied(x, moved_in_training(job))


def moved_in_training(job: Job) -> Augmentation:
    """How images are to be moved to give the dense network back its own statistics best; nothing for other inputs."""
    x = (job.task.general or job.task.support).x
    if not x.images() or len(x) < ENOUGH:  # which no statistics are taken of
        return ()
    if is_large(job):  # of which each image takes a tenth of a second, and has many more pixels to learn a mean from
        x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:ENOUGH]]
    kept = open_kept(
        "statistics",
        digest(
            job.key, code_digest("toolkit.distillation", "toolkit.adaptation.heads", "toolkit.stages.effort", __name__)
        ),
    )
    lost = {move: keep(kept, "+".join(move), partial(_lost, job, x, _varied(x, move))) for move in _MOVES}
    return min(_MOVES, key=lambda move: max(lost[move], _ROUNDING))


def is_cut(chosen: Mapping[str, Choice]) -> bool:
    """Whether these choices change more than precisions: the dense network's statistics are then no longer its own."""
    return any(choice.form != "dense" for choice in chosen.values())


@torch.no_grad()
def _lost(job: Job, x: Inputs, seen: Inputs) -> float:
    """How far the dense network's answers move with the statistics of what was `seen`, nats an example."""
    anew = copy.deepcopy(job.network.backbone)
    estimate_statistics(anew, seen)
    before, after = (features_of(each, x[:_JUDGED]) for each in (job.network.backbone, anew))
    return float(job.objective.divergence(job.general_logits(after), job.general_logits(before), 1.0).mean())


def _varied(x: Inputs, move: Augmentation) -> Inputs:
    """Always the same."""
    return augment_for(move, x)(x, torch.Generator().manual_seed(0))
