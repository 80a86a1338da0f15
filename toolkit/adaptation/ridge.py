"""The head that is fitted to a few examples: ridge regression on their classes, as strong as their own errors say.

In front of features that know a task's classes nearest class means are hard to beat, in front of others they leave much
of what the same examples tell; here it lies between, and left-out examples say where. The solver is closed, so that a
board can run it as one small program (Bertinetto et al., Meta-learning with differentiable closed-form solvers, 2019).
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.export import ExportedProgram

from edge_runtime.classes import NEVER

# The inverse by Newton's iteration (Schulz 1933): after k of them it is that of 2^k steps of gradient descent, and
# directions in which features vary by less than a 2^k-th of their variance count as little as a penalty would have it.
_ITERATIONS = (5, 7, 9)
# Standard deviation of the logits over the support. A head that already tells the support apart leaves cores nothing to
# learn: on digits boards began with 2 and reached 83.9 %, with 1 85.5 %, with 0.5 86.2 %, with 0.25 86.7 % (9 trials).
_SERVED, _TRAINED = 2.0, 0.5
_NOTHING = 1e-3  # a spread that is rounding errors of features that are all the same
# What hardly varied in a few examples may vary in others: a feature counts as if it varied by so much of what the mean
# one does, and by so much of its own size more, which is more than rounding does.
_LEAST_VARIANCE, _LEAST_OF_SIZE = 1e-2, 1e-4
_TINY = 1e-30


def ridge_head(
    features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, classes: int, spread: float = _SERVED
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (classes, d) and bias (classes,) of the least squares from standardised `features` (N, d) to classes.

    Examples count where their `weights` (N,) are 1, not where they are 0. All classes that have one which does count
    alike, however many they have; logits of others are NEVER. The strength is that by which left-out examples are told
    best (Allen 1974); the greatest, where a class has but one. Logits of the support have the deviation `spread`. A
    board runs this very function.
    """
    # No product of a matrix and a vector: ONNX Runtime 1.31 fuses one of these wrongly.
    hot = F.one_hot(labels, classes).to(features.dtype)
    counted = weights[:, None] * hot
    # Each class as much as any other, whatever examples it has: the rare one is often what matters.
    there = (counted.sum(0) > 0).to(features.dtype)
    known = there.sum()
    share = (counted / counted.sum(0).clamp_min(1)).sum(1, keepdim=True) / known
    centre = (share * features).sum(0)
    scale = _scale(features, centre, share)
    root = torch.sqrt(share)
    seen, wanted = root * (features - centre) * scale, root * (hot - there / known)
    narrow = features.shape[1] <= features.shape[0]
    gram = seen.T @ seen if narrow else seen @ seen.T
    place = torch.arange(len(gram)) + 0 * share.sum()  # known once it runs: else programs would hold the whole matrix
    inverse = 2 * (place[:, None] == place).to(gram.dtype) - gram
    tried = []
    for iteration in range(2, max(_ITERATIONS) + 1):
        inverse = 2 * inverse - inverse @ gram @ inverse
        if iteration in _ITERATIONS:
            solver = seen @ inverse if narrow else inverse @ seen
            found = solver.T @ wanted
            tried.append((found, _left_out(wanted, seen @ found, (solver * seen).sum(1, keepdim=True) + share)))
    (fitted, least), *weaker = tried
    several = torch.where(there > 0, counted.sum(0), len(features)).min() > 1
    for found, error in weaker:
        better = several & (error < least)
        fitted, least = torch.where(better, found, fitted), torch.where(better, error, least)
    weight = fitted.T * scale
    bias = there / known - (weight * centre).sum(1)
    weight, bias = _spread(weight, bias, features, share * there / known, spread)
    return weight, bias + NEVER * (1 - there)


def trace_ridge(width: int, classes: int, examples: int) -> ExportedProgram:
    """(features (examples, width), labels, weights) -> (weight, bias), as the program by which a board begins."""

    class Start(nn.Module):
        def forward(
            self, features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            return ridge_head(features, labels, weights, classes, _TRAINED)

    arguments = (torch.randn(examples, width), torch.arange(examples) % classes, torch.ones(examples))
    with torch.no_grad():
        return torch.export.export(Start(), arguments)


def _scale(features: torch.Tensor, centre: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """(d,): with it features vary alike, and the mean example is one long at most, as Newton's iteration demands."""
    variance = (share * (features - centre) ** 2).sum(0)
    least = _LEAST_VARIANCE * variance.mean() + (_LEAST_OF_SIZE * centre) ** 2 + _TINY
    scale = torch.rsqrt(variance + least)
    return scale * torch.rsqrt((variance * scale**2).sum().clamp_min(1))


def _left_out(wanted: torch.Tensor, told: torch.Tensor, leverage: torch.Tensor) -> torch.Tensor:
    """Squared error of what heads of all others tell of each example, by the scale that suits them best."""
    left_out = wanted - (wanted - told) / (1 - leverage).clamp_min(1e-3)
    scale = ((left_out * wanted).sum() / (left_out**2).sum().clamp_min(_TINY)).clamp_min(0)
    return ((wanted - scale * left_out) ** 2).sum()


def _spread(
    weight: torch.Tensor, bias: torch.Tensor, features: torch.Tensor, each: torch.Tensor, wanted: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """So that logits, which count by `each` (N, classes), have the deviation that is wanted."""
    logits = features @ weight.T + bias
    spread = torch.sqrt((each * (logits - (each * logits).sum()) ** 2).sum())
    scale = torch.where(spread > _NOTHING, wanted / spread, torch.ones(()))
    return scale * weight, scale * bias
