"""What a rival of `deploy` would do by hand: prune channels, choose the size by the clock, recover, quantise.

The sizes are Torch-Pruning's (`channels.py`): the groups ranked together, which is DepGraph's own choice of widths, or
all alike, which is the uniformly narrower network with the channels of largest norm. Recovery is `deploy`'s, to the
letter of `toolkit/stages/compress.py`: same losses, examples, variations, rates and steps.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial

from toolkit.distillation import Checkpoint, augment_for, recover
from toolkit.models import split_head
from toolkit.request import Request
from toolkit.stages.compress import SUPPORT_SHARE
from toolkit.stages.load import Job
from toolkit.stages.statistics import as_trained, renew_statistics
from toolkit.stages.variations import usual_variations

import torch  # isort: skip  # toolkit is imported before torch: it sets how OpenMP waits
from torch import nn  # isort: skip

_COARSE, _FINE = 10, 4  # sizes timed of all, and between two of them around each budget


def largest_within(
    sizes: Sequence[nn.Module], budgets_ms: Sequence[float], time: Callable[[list[nn.Module]], list[float]]
) -> list[tuple[nn.Module, float]]:
    """Of each budget the largest of the sizes that keeps it, with its milliseconds; the fastest where none does.

    Sizes come largest first. A few are timed, then some between the two that a budget lies between: int8 kernels do not
    get faster with every channel less, so that a bisection would trust the clock too much.
    """
    last = len(sizes) - 1
    known: dict[int, float] = {}

    def learn(wanted: set[int]) -> None:
        new = sorted(wanted - known.keys())
        known.update(zip(new, time([sizes[index] for index in new]), strict=True))

    learn({round(step * last / (_COARSE - 1)) for step in range(_COARSE)})
    for budget in budgets_ms:
        first = min((index for index, ms in known.items() if ms <= budget), default=None)
        if first:
            before = max(index for index in known if index < first)
            learn({round(before + step * (first - before) / (_FINE + 1)) for step in range(1, _FINE + 1)} - {before})
    chosen = []
    for budget in budgets_ms:
        within = [index for index, ms in known.items() if ms <= budget]
        index = min(within) if within else min(known, key=lambda each: known[each])
        chosen.append((sizes[index], known[index]))
    return chosen


def recover_as_deployed(network: nn.Module, job: Job, request: Request, checkpoint: Checkpoint) -> nn.Module:
    """A copy of the pruned network, trained as `deploy` trains what it has cut."""
    split = split_head(copy.deepcopy(network).requires_grad_(True).eval(), job.example)
    general, dense_head = job.task.general, job.network.head
    assert general is not None
    assert split.head is not None
    assert dense_head is not None
    student = _Widened(split.backbone.requires_grad_(True), _kept(split.head, dense_head), dense_head.in_features)
    renew_statistics(job, student, general.x)
    augment = usual_variations(job) if request.augment is None else request.augment
    recover(
        student,
        job.network.backbone,
        job.general_logits,
        general,
        support=job.task.support,
        support_share=SUPPORT_SHARE[job.start],
        recipe=request.distill,
        augment=augment_for(augment, general.x),
        steps=request.recovery_steps or 0,
        learning_rate=request.recovery_rate,
        seed=request.seed,
        on_progress=_silent,
        checkpoint=checkpoint,
        seen_as=partial(as_trained, job),
    )
    return nn.Sequential(student.backbone, split.head).requires_grad_(False).eval()


class _Widened(nn.Module):
    """Features as wide as the dense network's, zeros for those that are gone: teacher and student share a head."""

    def __init__(self, backbone: nn.Module, kept: torch.Tensor, width: int) -> None:
        super().__init__()
        self.backbone, self.width = backbone, width
        self.register_buffer("kept", kept)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, *input_shape) -> (N, width)."""
        features = self.backbone(x)
        return features.new_zeros(len(features), self.width).index_copy(1, self.kept, features)


def _kept(narrow: nn.Linear, dense: nn.Linear) -> torch.Tensor:
    """Which columns of the dense head are left: the pruner copies them."""
    same = (narrow.weight[:, :, None] == dense.weight[:, None, :]).all(0)
    assert bool(same.any(1).all())
    return same.int().argmax(1)


def _silent(done: int, of: int) -> None:
    """Progress that nobody watches."""
