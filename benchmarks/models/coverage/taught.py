"""Tasks whose targets are what a disturbed copy of the network says: there is something to learn, and it can be."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from toolkit.objectives import Objective
from toolkit.tasks import Examples, Task

_DISTURBED = 0.2
_QUERIES = 60


@torch.no_grad()
def taught(
    name: str,
    model: nn.Module,
    draw: Callable[[int, torch.Generator], torch.Tensor],
    answer: Callable[[nn.Module, torch.Tensor], torch.Tensor],
    objective: Callable[[torch.Tensor], Objective],
    shots: int,
    seed: int,
) -> Task:
    """`draw(count, generator)` makes inputs (count, ...), `answer` targets of them from the disturbed copy.

    Ten times as many examples as `shots` are learned from, as of files whose targets are no classes.
    """
    teacher = copy.deepcopy(model).eval()
    generator = torch.Generator().manual_seed(7)
    for parameter in teacher.parameters():
        parameter.mul_(1 + _DISTURBED * torch.randn(parameter.shape, generator=generator))
    x = draw(10 * shots + _QUERIES, torch.Generator().manual_seed(seed))
    y = answer(teacher, x)
    support = 10 * shots
    return Task(
        name, (), Examples(x[:support], y[:support]), Examples(x[support:], y[support:]), None, None, objective(y)
    )
