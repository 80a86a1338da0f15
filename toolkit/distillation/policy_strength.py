"""How far a trained policy is to be followed: as far as it pays on tasks that did not train it."""

import torch

STRENGTHS = (0.25, 0.5, 1.0)


def strength_that_pays(losses: torch.Tensor) -> float:
    """That of `STRENGTHS` with the least mean loss; 0 unless it is lower than 0's by more than a standard error.

    `losses` (tasks, 1 + len(STRENGTHS)) has those at strength 0 first; the error is that of the tasks' own differences.
    """
    change = losses[:, 1:] - losses[:, :1]
    mean, error = change.mean(0), change.std(0) / len(change) ** 0.5
    best = int(mean.argmin())
    return STRENGTHS[best] if mean[best] < -error[best] else 0.0
