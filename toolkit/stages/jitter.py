"""How far a board shakes the examples that it learns from: names not at all."""

import torch

from toolkit.adaptation.on_device import JITTER
from toolkit.inputs import differentiable
from toolkit.stages.load import Job

# Of all inputs to a few examples: a rectifier cuts some off, too.
_TRIED, _UNREACHED = 4, 0.05


def jitter(job: Job) -> dict[str, float]:
    """How far a board may shake each input of the examples that it learns from, in its deviations; names not at all.

    Names are integers and booleans, and floats that are whole numbers and that no gradient comes back to: of tokens,
    say, and another number is another token.
    """
    x = differentiable(job.task.support.x[:_TRIED])
    floats = x.floats()
    with torch.enable_grad():
        answer = job.network.backbone(*x).sum()
        is_reached = bool(floats) and answer.requires_grad
        reached = torch.autograd.grad(answer, list(floats.values()), allow_unused=True) if is_reached else ()
    gradients = dict(zip(floats, reached, strict=False))
    return {
        name: _of_floats(each, gradients.get(name)) if name in floats else 0.0
        for name, each in job.task.support.x.tensors.items()
    }


def _of_floats(x: torch.Tensor, gradient: torch.Tensor | None) -> float:
    are_whole = torch.equal(x, x.round())
    unreached = 1.0 if gradient is None else float((gradient == 0).float().mean())
    return 0.0 if are_whole and unreached > _UNREACHED else JITTER
