"""How far a board shakes the examples that it learns from: names not at all."""

import torch

from edge_runtime.learning import JITTER
from toolkit.stages.load import Job

# Of all inputs to a few examples: a rectifier cuts some off, too.
_TRIED, _UNREACHED = 4, 0.05


def jitter(job: Job) -> dict[str, float]:
    """How far a board may shake each input of the examples that it learns from, in its deviations; names not at all.

    Names are integers and booleans, and floats that are whole numbers and that no gradient comes back to: of tokens,
    say, and another number is another token.
    """
    support = job.task.support.x
    tried = {name: tensor.clone().requires_grad_(True) for name, tensor in support[:_TRIED].floats().items()}
    still = dict.fromkeys(support.tensors, 0.0)
    if not tried:
        return still
    with torch.enable_grad():
        answer = job.network.backbone(*support[:_TRIED].with_tensors(tried)).sum()
        wanted = list(tried.values())
        found = torch.autograd.grad(answer, wanted, allow_unused=True) if answer.requires_grad else [None] * len(wanted)
    shaken = {
        name: JITTER
        for name, gradient in zip(tried, found, strict=True)
        if not _is_name(support.tensors[name], gradient)
    }
    return {**still, **shaken}


def _is_name(values: torch.Tensor, gradient: torch.Tensor | None) -> bool:
    unreached = 1.0 if gradient is None else float((gradient == 0).float().mean())
    return torch.equal(values, values.round()) and unreached > _UNREACHED
