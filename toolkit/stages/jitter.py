"""How far a board shakes the examples that it learns from: names not at all."""

import torch

from toolkit.adaptation.on_device import JITTER
from toolkit.stages.load import Job

# Of all inputs to a few examples: a rectifier cuts some off, too.
_TRIED, _UNREACHED = 4, 0.05


def jitter(job: Job) -> float:
    """How far a board may shake the examples that it learns from, in their deviations; names are not shaken at all.

    Whole numbers that no gradient comes back to are names: of tokens, say, and another number is another token.
    """
    [given] = job.task.support.x
    x = given[:_TRIED].clone().requires_grad_(True)
    with torch.enable_grad():
        answer = job.network.backbone(x).sum()
        [gradient] = torch.autograd.grad(answer, [x], allow_unused=True) if answer.requires_grad else [None]
    are_whole = torch.equal(given, given.round())
    unreached = 1.0 if gradient is None else float((gradient == 0).float().mean())
    return 0.0 if are_whole and unreached > _UNREACHED else JITTER
